/**
 * Reads tens of thousands of damaged weights, configurations and states of every format (packages/deit/tests/formats/mutants.ts), each
 * from its own seed, in a thread that is watched: an error without a code, a rejection that nobody handles, more than 10 s or
 * more than 1 GB is a fault, and the exit code 1.
 *
 *     npx node scripts/stress-formats.ts [--count 50000] [--seed 0] [--out results/format-mutants.csv]
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { csv } from "../packages/deit/src/formats/csv.ts";
import type { Outcome } from "../packages/deit/tests/formats/mutants.ts";

const LONGEST_MS = 10_000;
const LARGEST_BYTES = 1e9;

type Message = { readonly at: number } | { readonly outcome: Outcome } | { readonly unhandled: string };

async function readMutants({ root, from, to }: { root: string; from: number; to: number }): Promise<void> {
  const { specimens, tryMutant } = await import("../packages/deit/tests/formats/mutants.ts");
  const say = (message: Message): void => parentPort?.postMessage(message);
  process.on("unhandledRejection", (error) => say({ unhandled: String(error) }));
  const all = specimens();
  for (let seed = from; seed < to; seed++) {
    say({ at: seed });
    say({ outcome: await tryMutant(root, seed, all) });
  }
}

interface Tally {
  count: number;
  slowest: number;
}

async function watch({
  count,
  seed,
  out,
}: {
  count: number;
  seed: number;
  out: string | undefined;
}): Promise<void> {
  const tallies = new Map<string, Tally>();
  const faults: string[] = [];
  let memory = 0;
  const fault = (text: string): void => {
    faults.push(text);
    console.error(text);
  };
  const end = seed + count;
  const position = { next: seed };
  while (position.next < end) {
    const root = await mkdtemp(join(tmpdir(), "deit-mutants-"));
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { root, from: position.next, to: end },
    });
    let since = performance.now();
    worker.on("message", (message: Message) => {
      since = performance.now();
      if ("at" in message) position.next = message.at;
      else if ("unhandled" in message)
        fault(`seed ${position.next}: unhandled rejection: ${message.unhandled}`);
      else {
        const { kind, result, milliseconds, fault: what } = message.outcome;
        position.next = message.outcome.seed + 1;
        const key = `${kind},${result}`;
        const tally = tallies.get(key) ?? { count: 0, slowest: 0 };
        tallies.set(key, { count: tally.count + 1, slowest: Math.max(tally.slowest, milliseconds) });
        if (what !== undefined) fault(`seed ${message.outcome.seed}, ${kind}: ${what}`);
      }
    });
    const ended = new Promise<void>((resolve) => {
      worker.once("exit", () => resolve());
      worker.once("error", (error) => {
        fault(`seed ${position.next}: the thread ended: ${String(error)}`);
        position.next++;
      });
    });
    const timer = setInterval(() => {
      const { rss } = process.memoryUsage();
      if (rss > LARGEST_BYTES && memory <= LARGEST_BYTES)
        fault(`seed ${position.next}: ${Math.round(rss / 1e6)} MB`);
      memory = Math.max(memory, rss);
      if (performance.now() - since < LONGEST_MS) return;
      fault(`seed ${position.next}: takes more than ${LONGEST_MS / 1000} s`);
      position.next++;
      since = Infinity;
      void worker.terminate();
    }, 20);
    await ended;
    clearInterval(timer);
    await rm(root, { recursive: true, force: true });
  }
  const rows = [...tallies]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, { count: files, slowest }]) => [...key.split(","), files, Math.round(slowest)]);
  const table = csv([["file", "result", "files", "slowest_cpu_ms"], ...rows]);
  if (out === undefined) console.log(table);
  else await writeFile(out, table);
  console.log(
    `${count} files from seed ${seed}: ${faults.length} faults, ${Math.round(memory / 1e6)} MB at most`,
  );
  if (faults.length > 0) process.exitCode = 1;
}

if (isMainThread) {
  const { values } = parseArgs({
    options: {
      count: { type: "string", default: "50000" },
      seed: { type: "string", default: "0" },
      out: { type: "string" },
    },
  });
  await watch({ count: Number(values.count), seed: Number(values.seed), out: values.out });
} else {
  await readMutants(workerData as Parameters<typeof readMutants>[0]);
}
