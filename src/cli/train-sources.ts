/** The options of a training: a folder, a recipe or a run to continue, with flags over it and defaults that fit the pictures under it. */
import { readdir, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { finetuneDefaults, fittingSize } from "../config/finetune-defaults.ts";
import { firstRunDefaults, guessRate } from "../config/first-run.ts";
import { loadRecipe } from "../config/recipe.ts";
import { namesPictures, resolveTrainOptions } from "../config/resolve.ts";
import type { Layer, ResolvedOptions } from "../config/resolve.ts";
import type { TrainOptions } from "../config/schema.ts";
import { defaultCheckpoint } from "./default-checkpoint.ts";
import { fetchCheckpoint } from "./fetch-checkpoint.ts";
import type { Output } from "./output.ts";
import { RUN_OPTIONS_FILE } from "./run-options.ts";

/** `source` and the flags as one set of options; see resolve.ts for the precedence. */
export async function resolveTraining(
  source: string | undefined,
  flags: Layer,
  output: Output,
): Promise<ResolvedOptions> {
  const layers = [...(source === undefined ? [] : await sourceLayers(source)), flags];
  const resolved = resolveTrainOptions(layers);
  const fromFile = layers.some((layer) => layer.spelling === "key");
  if (fromFile || resolved.sources.model !== "default" || !namesPictures(resolved.options)) return resolved;
  const first = resolveTrainOptions([await firstRunLayer(resolved.options), ...layers]);
  const { model, inputSize, epochs } = first.options;
  output.note(
    `chosen for these pictures: ${model} at ${[inputSize].flat().join(" × ")} pixels, ${epochs} epochs (--print-config shows all options)`,
  );
  return first;
}

/** A folder is pictures, or a run to continue; everything else is a recipe. */
async function sourceLayers(source: string): Promise<Layer[]> {
  const isFolder = (await stat(source).catch(() => undefined))?.isDirectory() ?? false;
  if (!isFolder) return [await loadRecipe(source)];
  const isRun = (await readdir(source)).includes(RUN_OPTIONS_FILE);
  const folder = { source: "command line", spelling: "flag" } as const;
  if (!isRun) return [{ ...folder, values: { dataPath: source } }];
  return [await loadRecipe(join(source, RUN_OPTIONS_FILE)), { ...folder, values: { outputDir: source } }];
}

async function firstRunLayer(options: TrainOptions): Promise<Layer> {
  const { surveyPictures } = await import("../data/survey.ts");
  const { images, medianSize } = await surveyPictures(options);
  const cores = options.threads ?? availableParallelism();
  const chosen = firstRunDefaults({ images, medianSize, imagesPerSecondEstimate: guessRate(cores) });
  return { source: "first run", spelling: "key", values: chosen };
}

/** The same for a fine-tuning: under recipe and flags lies what fits checkpoint and pictures. */
export async function resolveFinetuning(
  source: string | undefined,
  flags: Layer,
  output: Output,
): Promise<ResolvedOptions> {
  const layers = [...(source === undefined ? [] : await sourceLayers(source)), flags];
  const given = resolveTrainOptions(layers);
  if (source !== undefined && given.sources.outputDir !== "default" && given.sources.model !== "default") {
    return given; // a run to continue says everything
  }
  if (!namesPictures(given.options)) return given;
  const finetune = given.options.finetune ?? (await defaultCheckpoint());
  await fetchCheckpoint(finetune);
  const first = resolveTrainOptions([
    {
      source: "fine-tuning",
      spelling: "key",
      values: await finetuneLayer({ ...given.options, finetune }, given),
    },
    ...layers,
  ]);
  const { model, inputSize, epochs } = first.options;
  output.note(
    `fine-tuning ${finetune}: ${model} at ${[inputSize].flat().join(" × ")} pixels, ${epochs} epochs (--print-config shows all options)`,
  );
  return first;
}

async function finetuneLayer(
  options: TrainOptions & { finetune: string },
  { sources }: ResolvedOptions,
): Promise<Record<string, unknown>> {
  const { surveyPictures } = await import("../data/survey.ts");
  const { openCheckpoint } = await import("../evaluation/checkpoint.ts");
  const { createModel } = await import("../models/registry.ts");
  const { inputSizeOf } = await import("../models/model.ts");
  const survey = await surveyPictures(options);
  await using checkpoint = await openCheckpoint(options.finetune, { weights: options.weights ?? undefined });
  const size = options.inputSize === null ? undefined : inputSizeOf({ inputSize: options.inputSize }, 0);
  const model =
    sources.model === "default" ? checkpoint.expectModel({ inputSize: size }) : createModel(options.model);
  const { mean, std } = { ...options, ...checkpoint.metadata };
  const patchSize = model.transformer?.patchSize ?? 1;
  const inputSize = size ?? fittingSize(model.config.inputSize, { medianSize: survey.medianSize, patchSize });
  const chosen = finetuneDefaults({
    ...survey,
    mean,
    std,
    model: model.name,
    inputSize,
    distilled: model.config.distilled,
    macs: createModel(model.name, { inputSize }).macs,
    cores: options.threads ?? availableParallelism(),
  });
  return { finetune: options.finetune, ...chosen };
}
