// pg-boss. Best: batches of 1,000, looked for twice a second (its shortest), without its own supervision and schedules.
import * as module from "pg-boss";
import { main } from "./runner.mjs";

const PgBoss = module.PgBoss ?? module.default;

async function make(url, best) {
  const boss = new PgBoss({ connectionString: url, ...(best ? { supervise: false, schedule: false } : {}) });
  boss.on("error", (error) => process.stderr.write(`${error}\n`));
  let started = false;
  const start = async () => {
    if (!started) await boss.start();
    started = true;
  };
  return {
    async install() {
      await start();
      await boss.createQueue("noop");
    },
    async enqueue(jobs) {
      await start();
      if (jobs === 1) {
        await boss.send("noop", {});
        return;
      }
      for (let left = jobs; left > 0; left -= 1000) {
        const batch = Array.from({ length: Math.min(1000, left) }, () => ({ name: "noop", data: {} }));
        // Its signature took the queue's name first from version 11 on.
        await (boss.insert.length > 1 ? boss.insert("noop", batch) : boss.insert(batch));
      }
    },
    async run(handled) {
      await start();
      const options = best ? { batchSize: 1000, pollingIntervalSeconds: 0.5 } : {};
      await boss.work("noop", options, async (jobs) => jobs.forEach(() => handled()));
    },
  };
}

main(make);
