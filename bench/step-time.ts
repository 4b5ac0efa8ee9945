/**
 * Processor time of a training step, for machines that others use, too: this checkout and another in turns, each in a process
 * of its own with one thread. `npx node --conditions=deit-source bench/step-time.ts --before CHECKOUT [--rounds 9]`
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { resolve } from "node:path";
import { median } from "../packages/lab/src/bench/timing.ts";

const here = new URL("../", import.meta.url).pathname;
const { values } = parseArgs({
  options: {
    before: { type: "string" },
    root: { type: "string" },
    model: { type: "string", default: "deit_tiny_distilled_patch16_224" },
    task: { type: "string", default: "train" },
    "batch-size": { type: "string", default: "8" },
    rounds: { type: "string", default: "9" },
    steps: { type: "string", default: "3" },
  },
});

if (values.root === undefined) await compare();
else await measure(values.root);

/** Medians of both checkouts, and of their ratios by round. */
async function compare(): Promise<void> {
  const roots = [here, ...(values.before === undefined ? [] : [resolve(values.before)])];
  const children = roots.map((root) =>
    spawn(
      process.execPath,
      ["--conditions=deit-source", import.meta.filename, ...process.argv.slice(2), "--root", root],
      {
        stdio: ["pipe", "pipe", "inherit"],
      },
    ),
  );
  const replies = children.map((child) => createInterface({ input: child.stdout })[Symbol.asyncIterator]());
  for (const reply of replies) await reply.next();
  const rounds: number[][] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const seconds: number[] = roots.map(() => 0);
    const order = round % 2 === 0 ? roots.keys() : [...roots.keys()].toReversed();
    for (const i of order) {
      ask(children[i]);
      seconds[i] = Number((await replies[i]?.next())?.value);
    }
    rounds.push(seconds);
    console.log(seconds.map((each) => `${(1000 * each).toFixed(1)} ms`).join(" | "));
  }
  for (const child of children) child.stdin.end();
  for (const [i, root] of roots.entries())
    console.log(`${root}: ${(1000 * median(rounds.map((round) => round[i] ?? 0))).toFixed(1)} ms`);
  if (roots.length > 1)
    console.log(`ratio: ${median(rounds.map(([now = 0, then = 0]) => then / now)).toFixed(3)}`);
}

function ask(child: ChildProcess | undefined): void {
  child?.stdin?.write("\n");
}

/** Answers every line of standard input with the median of a step's processor seconds. */
async function measure(root: string): Promise<void> {
  const from = <T>(file: string): Promise<T> =>
    import(pathToFileURL(resolve(root, "packages", file)).href) as Promise<T>;
  const { createModel } = await from<typeof import("../packages/deit/src/models/registry.ts")>(
    "deit/src/models/registry.ts",
  );
  const { createRuntime } =
    await from<typeof import("../packages/deit/src/runtime/node.ts")>("deit/src/runtime/node.ts");
  const { inferWorkload, trainWorkload } =
    await from<typeof import("../packages/lab/src/bench/workload.ts")>("lab/src/bench/workload.ts");
  const runtime = await createRuntime({ device: "cpu", threads: 1 });
  const context = { model: createModel(values.model), batchSize: Number(values["batch-size"]), runtime };
  const { program, feeds } = await (values.task === "train" ? trainWorkload : inferWorkload)(context);
  const executable = await runtime.load(program);
  const step = async (): Promise<number> => {
    const before = process.cpuUsage();
    await executable.run(feeds);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6;
  };
  for (let i = 0; i < 2; i++) await step();
  console.log("ready");
  for await (const _ of createInterface({ input: process.stdin })) {
    const times: number[] = [];
    for (let i = 0; i < Number(values.steps); i++) times.push(await step());
    console.log(median(times));
  }
  await runtime.close();
}
