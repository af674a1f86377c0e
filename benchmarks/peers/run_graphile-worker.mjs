// graphile-worker. Best: 24 at once, a local queue of 500, acknowledgements in batches, ten seconds between polls.
import graphile from "graphile-worker";
import { main } from "./runner.mjs";

const { Logger, makeWorkerUtils, run } = graphile;
// It would log to the standard output, where the answers go.
const logger = new Logger(() => () => {});

async function make(url, best) {
  let utils;
  const open = async () => (utils ??= await makeWorkerUtils({ connectionString: url, logger }));
  const preset = {
    worker: {
      concurrentJobs: 24,
      pollInterval: 10_000,
      maxPoolSize: 10,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
  };
  return {
    async install() {
      await (await open()).migrate();
    },
    async enqueue(jobs) {
      const worker = await open();
      if (jobs === 1) {
        await worker.addJob("noop", {});
        return;
      }
      for (let left = jobs; left > 0; left -= 1000) {
        await worker.addJobs(
          Array.from({ length: Math.min(1000, left) }, () => ({ identifier: "noop", payload: {} })),
        );
      }
    },
    async run(handled) {
      await run({
        connectionString: url,
        logger,
        noHandleSignals: true,
        taskList: { noop: async () => handled() },
        ...(best ? { preset } : {}),
      });
    },
  };
}

main(make);
