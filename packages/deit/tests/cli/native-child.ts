/** Work that hears no abort, for interrupt.slow.test.ts: minutes of native code in a worker thread or, once asked to stop, in the main one. */
import { pbkdf2Sync } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { withInterrupt } from "../../src/cli/interrupt.ts";

const ROUNDS = 2 ** 30;

await withInterrupt(
  async (signal) => {
    if (process.argv[2] === "worker") {
      const code = `require("node:crypto").pbkdf2Sync("", "", ${ROUNDS}, 64, "sha512")`;
      const worker = new Worker(code, { eval: true });
      await new Promise((resolve) => worker.once("online", resolve));
      process.stdout.write("computing\n");
      await sleep(600_000);
    }
    process.stdout.write("computing\n");
    while (!signal.aborted) await sleep(50);
    await sleep(600); // Ctrl-C's echo is over
    pbkdf2Sync("", "", ROUNDS, 64, "sha512");
  },
  () => {},
);
