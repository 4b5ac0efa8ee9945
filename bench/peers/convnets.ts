/**
 * A training step of convnets here and in PyTorch, in turns on the same machine.
 *
 *   npx node bench/peers/convnets.ts --python .venv/bin/python [--rounds 3] [--threads 2] [--seconds 4]
 */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { median } from "../../packages/lab/src/bench/timing.ts";
import { createModel } from "../../packages/deit/src/models/registry.ts";
import { initialVectors, modelLayout } from "../../packages/deit/src/nn/parameters.ts";
import { softTargetCrossEntropy } from "../../packages/deit/src/nn/losses.ts";
import { sgd } from "../../packages/deit/src/optim/sgd.ts";
import { createRandom } from "../../packages/deit/src/random.ts";
import { createRuntime } from "../../packages/deit/src/runtime/node.ts";
import { hyperFeeds } from "../../packages/deit/src/training/loop/step-feeds.ts";
import { stepProgram, trainingState } from "../../packages/deit/src/training/loop/training-programs.ts";
import { classification } from "../../packages/deit/src/training/task.ts";
import { smoothTargets } from "../../packages/deit/src/training/loop/step-feeds.ts";

const { values } = parseArgs({
  options: {
    python: { type: "string", default: "python3" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    seconds: { type: "string", default: "4" },
  },
});
const budget = 1000 * Number(values.seconds);

/** Ours, the peer's name of the same model, pixels, batch. */
const WORK = [
  ["resnet20_cifar", "resnet20", 32, 64],
  ["regnety_002", "regnety_002", 224, 16],
  ["regnety_016", "regnety_016", 224, 8],
] as const;

async function ours(name: string, size: number, batchSize: number): Promise<number> {
  const model = createModel(name, { inputSize: size });
  const runtime = await createRuntime({ device: "cpu", threads: Number(values.threads) });
  const layout = modelLayout(model);
  const optimizer = sgd({ weightDecay: 5e-4, momentum: 0.9, nesterov: true });
  const shared = { model, layout, batchSize, target: runtime.target };
  const normalisation = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] } as const;
  const program = stepProgram(
    { ...shared, normalisation },
    { task: classification(softTargetCrossEntropy), optimizer },
  );
  const random = createRandom(0);
  const start = initialVectors(layout, random);
  for (const { name: vector, length } of trainingState(layout, optimizer))
    await runtime.setState(vector, start[vector.replace("W.", "")] ?? new Float32Array(length));
  const executable = await runtime.load(program);
  const labels = Array.from({ length: batchSize }, (_, i) => (i * 37) % model.config.numClasses);
  const feeds = {
    images: Uint8Array.from({ length: batchSize * 3 * size * size }, () => random.integer(256)),
    targets: smoothTargets(labels, model.config.numClasses, 0),
    ...hyperFeeds({ layout, optimizer }, { update: 1, lr: 0.01 }),
  };
  await executable.run(feeds);
  await executable.run(feeds);
  const times: number[] = [];
  const end = performance.now() + budget;
  while (times.length < 3 || performance.now() < end) {
    const began = performance.now();
    await executable.run(feeds);
    times.push(performance.now() - began);
  }
  await runtime.close();
  return (1000 * batchSize) / median(times);
}

function theirs(name: string, size: number, batchSize: number): number {
  const { stdout, stderr, status } = spawnSync(
    values.python,
    [
      new URL("torch_convnet.py", import.meta.url).pathname,
      `--model=${name}`,
      `--size=${size}`,
      `--batch-size=${batchSize}`,
      `--threads=${values.threads}`,
      `--seconds=${values.seconds}`,
    ],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(stderr);
  const line: { imagesPerSecond: number } = JSON.parse(stdout);
  return line.imagesPerSecond;
}

console.log("model,pixels,batch,ours_images_per_second,pytorch_images_per_second,ratio_of_medians");
for (const [name, peer, size, batchSize] of WORK) {
  const [here, there]: [number[], number[]] = [[], []];
  for (let round = 0; round < Number(values.rounds); round++) {
    here.push(await ours(name, size, batchSize));
    there.push(theirs(peer, size, batchSize));
  }
  const [a, b] = [median(here), median(there)];
  console.log([name, size, batchSize, a.toFixed(1), b.toFixed(1), (a / b).toFixed(2)].join());
}
