/**
 * This project as a peer of run.ts: the training step or the forward pass of `deit bench`, for as many seconds as a line of
 * standard input says. `--root` names another checkout, to compare two versions in the same minutes.
 */
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { resolve } from "node:path";
import { median } from "../../packages/lab/src/bench/timing.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "deit_tiny_distilled_patch16_224" },
    task: { type: "string", default: "train" },
    "batch-size": { type: "string", default: "8" },
    threads: { type: "string", default: "2" },
    root: { type: "string", default: new URL("../../", import.meta.url).pathname },
  },
});
const batchSize = Number(values["batch-size"]);
const from = <T>(file: string): Promise<T> =>
  import(pathToFileURL(resolve(values.root, "packages", file)).href) as Promise<T>;
const { createModel } = await from<typeof import("../../packages/deit/src/models/registry.ts")>(
  "deit/src/models/registry.ts",
);
const { createRuntime } =
  await from<typeof import("../../packages/deit/src/runtime/node.ts")>("deit/src/runtime/node.ts");
const { inferWorkload, trainWorkload } =
  await from<typeof import("../../packages/lab/src/bench/workload.ts")>("lab/src/bench/workload.ts");

const runtime = await createRuntime({ device: "cpu", threads: Number(values.threads) });
const context = { model: createModel(values.model), batchSize, runtime };
const { program, feeds } = await (values.task === "train" ? trainWorkload : inferWorkload)(context);
const executable = await runtime.load(program);
const step = async (): Promise<number> => {
  const start = performance.now();
  await executable.run(feeds);
  return (performance.now() - start) / 1000;
};
for (let i = 0; i < 3; i++) await step();
console.log(JSON.stringify({}));
for await (const line of createInterface({ input: process.stdin })) {
  const times: number[] = [];
  const end = performance.now() + 1000 * Number(line);
  while (times.length < 3 || performance.now() < end) times.push(await step());
  const peakRssMiB = process.resourceUsage().maxRSS / 1024;
  console.log(
    JSON.stringify({ imagesPerSecond: batchSize / median(times), steps: times.length, peakRssMiB }),
  );
}
await runtime.close();
