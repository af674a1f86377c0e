// What the runners of node peers share: the command line. See __init__.py.
import readline from "node:readline";

export const say = (word) => process.stdout.write(`${word}\n`);
const seconds = () => Number(process.hrtime.bigint()) / 1e9;

// `make(url, best)` returns {install, enqueue(n), run(handled)}.
export async function main(make) {
  const [url, mode, command, ...numbers] = process.argv.slice(2);
  const runner = await make(url, mode === "best");
  if (command === "install") {
    await runner.install();
  } else if (command === "enqueue" || command === "rate") {
    await enqueue(runner, Number(numbers[0]), command === "rate");
  } else if (command === "work") {
    await work(runner, Number(numbers[0]), Number(numbers[1]));
  } else if (command === "serve") {
    await runner.run(() => say(process.hrtime.bigint()));
    say("ready");
    return;
  } else if (command === "client") {
    await runner.enqueue(0);
    say("ready");
    for await (const _ of readline.createInterface({ input: process.stdin })) {
      const moment = process.hrtime.bigint();
      await runner.enqueue(1);
      say(moment);
    }
  }
  process.exit(0);
}

async function enqueue(runner, jobs, alone) {
  await runner.enqueue(0);
  const started = seconds();
  for (let left = alone ? jobs : 1; left > 0; left--) await runner.enqueue(alone ? 1 : jobs);
  say(JSON.stringify({ jobs, seconds: seconds() - started }));
}

async function work(runner, jobs, limit) {
  let done = 0;
  let first;
  const started = seconds();
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, limit * 1000);
    runner.run(() => {
      first ??= seconds();
      if (++done === jobs) {
        clearTimeout(timer);
        resolve();
      }
    });
  });
  // From the first job on, so that a worker's start is not in it; unless that leaves next to nothing to measure.
  const ended = seconds();
  say(JSON.stringify({ jobs: done, seconds: ended - (first && ended - first > 0.05 ? first : started) }));
  await new Promise((resolve) => setTimeout(resolve, 1000)); // it acknowledges its last ones
}
