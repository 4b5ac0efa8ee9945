/** One walk of walks.ts, with less or more of what walks. */
import { join } from "node:path";
import { Command } from "commander";
import sharp from "sharp";
import { mkdir } from "node:fs/promises";
import { addSchemaFlags, flagLayer } from "../packages/deit/src/cli/schema-flags.ts";
import { firstRunDefaults } from "../packages/deit/src/config/first-run.ts";
import { parseTrainOptions, resolveTrainOptions } from "../packages/deit/src/config/resolve.ts";
import { TRAIN_OPTION_NAMES } from "../packages/deit/src/config/schema.ts";
import { writeCheckpoint } from "../packages/deit/src/formats/safetensors-file.ts";
import { input } from "../packages/deit/src/graph/graph.ts";
import { createModel } from "../packages/deit/src/models/registry.ts";
import {
  bindParameters,
  createScope,
  initialVectors,
  modelLayout,
  unpackTensors,
} from "../packages/deit/src/nn/parameters.ts";
import { evaluationContext } from "../packages/deit/src/nn/context.ts";
import { createRandom } from "../packages/deit/src/random.ts";
import { batchFeeds, hyperFeeds } from "../packages/deit/src/training/loop/step-feeds.ts";
import { loadPrograms } from "../packages/deit/src/training/loop/load-programs.ts";
import { planTraining } from "../packages/deit/src/training/plan.ts";
import { prepare } from "../packages/deit/src/training/prepare.ts";
import { restoreProgress } from "../packages/deit/src/training/loop/run-progress.ts";

/** Tells which files of packages/deit/src/ lie on the way to here. */
function tellStack(): void {
  Error.stackTraceLimit = 100;
  for (const [, file] of (new Error().stack ?? "").matchAll(/\/src\/(\S+?\.ts):/g))
    console.log(`via ${file}`);
}

const [walk = "", amount = "", folder = ""] = process.argv.slice(2);
const isMore = amount === "more";

/** One batch of a first run, or three, of images in ImageNet's folders. */
async function walkImage(): Promise<void> {
  const dataPath = join(folder, "images");
  for (const [name, red] of [
    ["train/dark", 40],
    ["train/light", 200],
    ["val/dark", 40],
    ["val/light", 200],
  ] as const) {
    await mkdir(join(dataPath, name), { recursive: true });
    for (let i = 0; i < 16; i++)
      await sharp({ create: { width: 40 + i, height: 40, channels: 3, background: { r: red, g: i, b: i } } })
        .png()
        .toFile(join(dataPath, name, `${i}.png`));
  }
  const chosen = firstRunDefaults({ images: 32, medianSize: 40, imagesPerSecondEstimate: 400 });
  const plan = planTraining(
    parseTrainOptions({ ...chosen, dataPath, batchSize: 8, device: "cpu", threads: 1, workers: 0 }),
  );
  await using prepared = await prepare(plan);
  const { model, layout, optimizer, runtime, loaders } = prepared;
  const { batch: step } = await loadPrograms(runtime, { plan, model, layout, optimizer, teacher: undefined });
  const weights = initialVectors(layout, createRandom(0, "weights"));
  await restoreProgress({ runtime, layout, optimizer }, { saved: null, initial: async () => weights });
  const { program } = step;
  const hyper = hyperFeeds({ layout, optimizer, program }, { update: 1, lr: 0 });
  let left = isMore ? 3 : 1;
  for await (const batch of loaders.training.epoch(0)) {
    const { loss } = await step.run({
      ...batchFeeds({ plan, model, program }, { epoch: 0, ...batch }),
      ...hyper,
    });
    if (!Number.isFinite(loss?.[0])) throw new Error("a batch has a loss");
    if (--left === 0) break;
  }
}

/** A training without a teacher, or with hard distillation: from the words of the command line to its losses. */
function walkDistillation(): void {
  const command = new Command();
  addSchemaFlags(command, TRAIN_OPTION_NAMES);
  const distilled = ["--distillation-type", "hard", "--teacher-path", "teacher.onnx"];
  const model = ["--model", "deit_w64d4_distilled_patch4_32"];
  command.parse([...model, ...(isMore ? distilled : [])], { from: "user" });
  const { options } = resolveTrainOptions([flagLayer(command)]);
  const { step } = planTraining(
    new Proxy(options, {
      get(target, name) {
        if (name === "distillationType") tellStack();
        return target[name as keyof typeof target];
      },
    }),
  );
  const logits = (name: string): ReturnType<typeof input> => input(name, "float32", [8, 10]);
  const heads = { class: logits("class"), distillation: logits("distillation") };
  step.task({ heads, targets: logits("targets"), ...(isMore && { teacher: logits("teacher") }) });
}

/** All parameters of a model but one, or all: birth, layout, vectors, their place in a program, and a file. */
async function walkParameter(): Promise<void> {
  const model = createModel("deit_w64d4_patch4_32");
  const own = "blocks.0.attn.qkv.weight";
  const parameters = model.parameters.filter(({ name }) => isMore || name !== own);
  const layout = modelLayout({ ...model, parameters });
  const tensors = unpackTensors(layout, initialVectors(layout, createRandom(0, "weights")));
  const program = bindParameters(layout);
  const scope = createScope(({ name, shape }) => {
    if (name === own && isMore) tellStack();
    return program.values.get(name) ?? input(name, "float32", shape);
  });
  model.forward(input("images", "float32", [1, 3, 32, 32]), scope, evaluationContext());
  await writeCheckpoint(join(folder, "model.safetensors"), { tensors, metadata: {} });
}

if (walk === "image") await walkImage();
else if (walk === "distillation") walkDistillation();
else await walkParameter();
