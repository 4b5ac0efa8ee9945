/**
 * Does the same recipe learn the same here and in timm with PyTorch? For each seed: one plan (initial weights, order,
 * crops, flips, learning rates) is written down, both systems train from it on CIFAR-10, and both curves go to a csv.
 *
 *   npx node bench/peers/same-learning.ts --python .venv/bin/python --out results/same-learning.csv
 *
 * Rows that are in the csv already are not made again, so that it can be stopped and started.
 */
import { spawnSync } from "node:child_process";
import { appendFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createTransform } from "../../packages/deit/src/augmentation/transform.ts";
import { parseTrainOptions } from "../../packages/deit/src/config/resolve.ts";
import type { TrainOptions } from "../../packages/deit/src/config/schema.ts";
import { buildModel } from "../../packages/deit/src/models/model-request.ts";
import type { Dataset } from "../../packages/deit/src/data/dataset.ts";
import { openDatasets } from "../../packages/deit/src/data/open.ts";
import { createPlan, sampleRandom } from "../../packages/deit/src/data/loading/epoch-plan.ts";
import { pulledDataset } from "../../packages/deit/src/data/download/download-dataset.ts";
import { select } from "../../packages/deit/src/data/subset.ts";
import { writeCheckpoint } from "../../packages/deit/src/formats/safetensors-file.ts";
import { createDeit } from "../../packages/deit/src/models/registry.ts";
import { initialVectors, unpackTensors } from "../../packages/deit/src/nn/parameters.ts";
import { createRandom } from "../../packages/deit/src/random.ts";
import { planTraining } from "../../packages/deit/src/training/plan.ts";
import { train } from "../../packages/deit/src/training/train.ts";

const { values } = parseArgs({
  options: {
    python: { type: "string", default: "python3" },
    out: { type: "string", default: "results/same-learning.csv" },
    work: { type: "string", default: "runs/same-learning" },
    seeds: { type: "string", default: "0,1,2" },
    images: { type: "string", default: "10000" },
    epochs: { type: "string", default: "15" },
  },
});
const HEADER = "system,seed,epoch,train_loss,test_loss,test_acc1\n";
const PADDING = 4;

function optionsFor(seed: number): TrainOptions {
  return parseTrainOptions({
    dataSet: "cifar10",
    model: "deit_w64d4_patch4_32",
    numTrain: Number(values.images),
    epochs: Number(values.epochs),
    batchSize: 64,
    lr: 1e-3,
    unscaleLr: true,
    schedUnit: "step",
    warmupEpochs: 0.5,
    crop: "padded",
    dropPath: 0,
    seed,
    outputDir: join(values.work, `deit-ts-${seed}`),
  });
}

/** Writes the plan that bench/peers/README.md describes. */
async function writePlan(folder: string, options: TrainOptions, images: Dataset): Promise<void> {
  const { seed, epochs, batchSize, smoothing, weightDecay, mean, std } = options;
  const training = planTraining(options);
  const { model, layout } = buildModel(training.model, images.classes.length);
  const plan = createPlan({ length: images.length, batchSize, mode: "train", seed });
  const schedule = training.schedule(plan.steps);
  const original = await originalIndices(options);
  const transform = createTransform({
    mode: "train",
    size: model.config.inputSize,
    crop: { kind: "padded" },
  });
  const [height, width] = model.config.inputSize;
  const order = new Int32Array(epochs * plan.steps * batchSize * 4);
  const lrs: number[] = [];
  let to = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (let step = 0; step < plan.steps; step++) {
      lrs.push(schedule(epoch, step));
      for (const sample of plan.at(epoch, step)) {
        const draw = transform.draw(sampleRandom(seed, epoch, sample), width, height);
        const crop = draw.find((operation) => operation.op === "crop");
        if (crop === undefined) throw new Error("a padded crop draws a crop");
        const flip = draw.some((operation) => operation.op === "flip");
        order.set(
          [original[sample.index] ?? -1, crop.region.left + PADDING, crop.region.top + PADDING, Number(flip)],
          to,
        );
        to += 4;
      }
    }
  }
  const {
    embedDim: dim,
    depth,
    numHeads: heads,
    patchSize: patch,
    numClasses,
    distilled,
  } = createDeit(model.name, model.config).config;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "order.bin"), order);
  const weights = unpackTensors(layout, initialVectors(layout, createRandom(seed, "weights")));
  await writeCheckpoint(join(folder, "weights.safetensors"), { tensors: weights, metadata: {} });
  const shape = { dim, depth, heads, patch, imgSize: height, numClasses, distilled };
  const numbers = {
    epochs,
    steps: plan.steps,
    batchSize,
    lrs,
    weightDecay,
    smoothing,
    dropPath: 0,
    padding: PADDING,
    mean,
    std,
  };
  await writeFile(join(folder, "plan.json"), JSON.stringify({ model: shape, ...numbers }));
}

/** Places of the subset's images among all 50,000. */
async function originalIndices(options: TrainOptions): Promise<Uint32Array> {
  const { train: whole } = await openDatasets({ ...options, numTrain: null });
  return select(whole.labels, { rule: "sample", count: Number(values.images), seed: options.seed });
}

const done = await readFile(values.out, "utf8").catch(() => undefined);
if (done === undefined) await writeFile(values.out, HEADER);
const isDone = (system: string, seed: number): boolean =>
  done?.includes(`\n${system},${seed},${Number(values.epochs) - 1},`) ?? false;

for (const seed of values.seeds.split(",").map(Number)) {
  const options = optionsFor(seed);
  if (!isDone("deit-ts", seed)) {
    await rm(options.outputDir, { recursive: true, force: true });
    await train(planTraining(options));
    const log = (await readFile(join(options.outputDir, "log.jsonl"), "utf8")).trim().split("\n");
    const rows = log.map((line) => {
      const { epoch, train_loss, test_loss, test_acc1 } = JSON.parse(line);
      return `deit-ts,${seed},${epoch},${train_loss},${test_loss},${test_acc1}\n`;
    });
    await appendFile(values.out, rows.join(""));
  }
  if (!isDone("pytorch", seed)) {
    const folder = join(values.work, `plan-${seed}`);
    await writePlan(folder, options, (await openDatasets(options)).train);
    const curve = join(folder, "curve.csv");
    const words = [
      "bench/peers/torch_train_small.py",
      folder,
      "--data",
      await pulledDataset("cifar10"),
      "--out",
      curve,
    ];
    const { status } = spawnSync(values.python, words, { stdio: "inherit" });
    if (status !== 0) throw new Error(`${values.python} ${words.join(" ")} ended with ${status}`);
    const [, ...lines] = (await readFile(curve, "utf8")).trim().split(/\r?\n/);
    await appendFile(values.out, lines.map((line) => `pytorch,${seed},${line}\n`).join(""));
  }
}
