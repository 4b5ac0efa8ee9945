/**
 * The input of a plan: what is given (a folder of images, a recipe, a run, flags or code) over what suits these images or
 * this checkpoint, where nobody says which model. Used by the command line and the library alike.
 */
import { readdir, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { mergePreprocessing } from "../augmentation/preprocessing.ts";
import type { TaughtBy } from "../config/distill-defaults.ts";
import { distillDefaults } from "../config/distill-defaults.ts";
import { finetuneDefaults, fittingSize, USUAL_MINUTES } from "../config/finetune-defaults.ts";
import { firstRunDefaults, guessRate } from "../config/first-run.ts";
import { loadRecipe } from "../config/recipe.ts";
import type { Layer, ResolvedOptions } from "../config/resolve.ts";
import { namesImages, resolveTrainOptions } from "../config/resolve.ts";
import type { TrainInput } from "../config/schema.ts";
import type { GivenImages } from "../data/open.ts";
import { surveyImages } from "../data/survey.ts";
import { ConfigError } from "../errors.ts";
import { openCheckpoint } from "../evaluation/checkpoints/checkpoint.ts";
import { inputSizeOf } from "../models/model.ts";
import { createModel } from "../models/registry.ts";
import { defaultCheckpoint, fetchSilently } from "./default-checkpoint.ts";
import type { FetchCheckpoint } from "./default-checkpoint.ts";
import { shellWord } from "../printable.ts";
import { adviseFinetune, describeAdvice } from "./finetune-advice.ts";
import { freeRunFolder } from "./run/free-run-folder.ts";
import { isRunFolder, readRun, RUN_FILES } from "./run/run-folder.ts";

/** Options with where each comes from, and what was chosen. */
export interface ChosenOptions extends ResolvedOptions {
  /** What was chosen or assumed, a line each. */
  readonly chosen: readonly string[];
  /** Whether it is a run that goes on, which may be trained longer than it was planned. */
  readonly continues: boolean;
}

export interface ChooseRequest {
  /** A folder of images, a recipe by name or file, or a run to continue. */
  readonly source?: string | undefined;
  /** Over the source: flags, or the input of the library. */
  readonly given: Layer;
  /** Datasets that code gives; `dataPath` is then their name. */
  readonly images?: GivenImages | undefined;
  /** From a pretrained checkpoint, also where none is named. */
  readonly finetuning?: boolean;
  /** The labels are a teacher's, which goes on teaching. */
  readonly distilling?: TaughtBy | undefined;
  /**
   * How many minutes a fine-tuning may take, by a rough guess of this machine's speed. Without a checkpoint it then starts
   * from the released weights that fit best. Default 10, from DeiT-Ti.
   */
  readonly minutes?: number | undefined;
  /** Brings a checkpoint onto this machine. */
  readonly fetch?: FetchCheckpoint;
}

const FIRST_RUN = "first run";
const FINETUNING = "fine-tuning";
const DISTILLING = "distilling";

/** Whether model and length of the run were left to us. */
export function isChosen({ sources }: ResolvedOptions): boolean {
  return Object.values(sources).some((source) => source === FIRST_RUN || source === FINETUNING);
}

/**
 * A recipe or a named model means DeiT's defaults; else model, image size and epochs are chosen from the images, or from
 * checkpoint and images. @throws ConfigError, and what opening the images or the checkpoint throws
 */
export async function chooseOptions({
  source,
  given,
  images,
  finetuning = false,
  distilling,
  minutes,
  fetch = fetchSilently,
}: ChooseRequest): Promise<ChosenOptions> {
  const from = await sourceLayer(source);
  if (from.kind === "run") return continued(from, given);
  const layers = [...from.layers, given];
  const resolved = resolveTrainOptions(layers);
  if (!namesImages(resolved.options)) return { ...resolved, chosen: [], continues: false };
  const isOpen = from.kind !== "recipe" && resolved.sources.model === "default";
  const isFinetuning = finetuning || (isOpen && resolved.options.finetune !== null);
  const taught = (model: string): Layer => ({
    source: DISTILLING,
    spelling: "key",
    values: distilling ? distillDefaults({ ...createModel(model).config, by: distilling }) : {},
  });
  if (!isFinetuning && !isOpen) {
    const plain = resolveTrainOptions([taught(resolved.options.model), ...layers]);
    return inFreeFolder({ ...plain, chosen: [], continues: false }, images);
  }
  const advice: string[] = [];
  const suitable = await (isFinetuning
    ? finetuneChoice(resolved, { fetch, images, minutes, note: (line) => advice.push(line) })
    : firstRunChoice(resolved, images));
  const recorded = await recordedChoice(suitable, resolved);
  const layer = { source: isFinetuning ? FINETUNING : FIRST_RUN, spelling: "key" } as const;
  const values = { ...(recorded ?? suitable) };
  const found = resolveTrainOptions([
    { ...layer, values },
    taught(String(given.values["model"] ?? values["model"])),
    ...layers,
  ]);
  const { model, inputSize, epochs, finetune, outputDir } = found.options;
  const what =
    recorded !== undefined
      ? `as ${outputDir} began`
      : isFinetuning
        ? `fine-tuning ${finetune}`
        : "chosen for these images";
  const size = [inputSize ?? "their own"].flat().join(" × ");
  const line = `${what}: ${model} at ${size} pixels, ${counted(epochs)} (--print-config shows all options)`;
  return inFreeFolder({ ...found, chosen: [...(recorded ? [] : advice), line], continues: false }, images);
}

function counted(epochs: number): string {
  return epochs === 1 ? "1 epoch" : `${epochs} epochs`;
}

type Source = { readonly kind: "images" | "recipe" | "none"; readonly layers: readonly Layer[] };
type RunSource = { readonly kind: "run"; readonly path: string; readonly layers: readonly Layer[] };

/** A folder is images, or a run to continue; everything else is a recipe. */
async function sourceLayer(source: string | undefined): Promise<Source | RunSource> {
  if (source === undefined) return { kind: "none", layers: [] };
  const isFolder = (await stat(source).catch(() => undefined))?.isDirectory() ?? false;
  if (!isFolder) return { kind: "recipe", layers: [await loadRecipe(source)] };
  const folder = { source: "command line", spelling: "flag" } as const;
  const names = await readdir(source);
  if (!names.includes(RUN_FILES.args)) {
    await checkNoRuns(source, names);
    return { kind: "images", layers: [{ ...folder, values: { dataPath: source } }] };
  }
  const recorded = await loadRecipe(join(source, RUN_FILES.args));
  return { kind: "run", path: source, layers: [recorded, { ...folder, values: { outputDir: source } }] };
}

/** @throws ConfigError for a folder of runs, whose folders are not classes */
async function checkNoRuns(folder: string, names: readonly string[]): Promise<void> {
  const runs: string[] = [];
  for (const name of names) if (await isRunFolder(join(folder, name))) runs.push(join(folder, name));
  const [first] = runs;
  if (first === undefined) return;
  const named = `${runs.slice(0, 3).join(", ")}${runs.length > 3 ? ` and ${runs.length - 3} more` : ""}`;
  throw new ConfigError("source", `${folder} is a folder of runs: ${named}`, {
    code: "run/folder-of-runs",
    hint: `Name one of them to go on with it (deit train ${shellWord(first)}), or a folder of images.`,
  });
}

/** A run says everything itself; its length may be changed. @throws ConfigError for fewer epochs than it has */
async function continued({ path: run, layers }: RunSource, given: Layer): Promise<ChosenOptions> {
  const [before, resolved] = [resolveTrainOptions(layers), resolveTrainOptions([...layers, given])];
  if (resolved.options.outputDir !== before.options.outputDir)
    return { ...resolved, chosen: [], continues: false }; // its options, for another run
  const [planned, { epochs }] = [before.options.epochs, resolved.options];
  if (planned === epochs) return { ...resolved, chosen: [], continues: true };
  const { log } = await readRun(run);
  const done = (log.at(-1)?.epoch ?? -1) + 1;
  if (epochs < done) {
    throw new ConfigError("epochs", `${run} has trained ${done} epochs already, ${epochs} are given`, {
      code: "run/epochs-passed",
      hint: `Name more than ${done} to train longer; a shorter run needs another --output-dir.`,
    });
  }
  const line = `${run} was planned for ${counted(planned)}: after ${done} of them it continues to ${epochs}, from there with the learning rate of a run of ${epochs} epochs`;
  return { ...resolved, chosen: [line], continues: true };
}

/** The same options as they are in the run that --output-dir names: images that were added since do not change its choice. */
async function recordedChoice(
  suitable: TrainInput,
  { options: { outputDir }, sources }: ResolvedOptions,
): Promise<Layer["values"] | undefined> {
  if (sources.outputDir === "default" || !(await isRunFolder(outputDir))) return undefined;
  const { args } = await readRun(outputDir);
  return Object.fromEntries(Object.entries(suitable).map(([name, value]) => [name, args[name] ?? value]));
}

/** Without --output-dir: the run of these options, or the next number. */
async function inFreeFolder(
  resolved: ChosenOptions,
  images: GivenImages | undefined,
): Promise<ChosenOptions> {
  if (resolved.sources.outputDir !== "default") return resolved;
  const { folder, taken } = await freeRunFolder(resolved.options, images);
  const options = { ...resolved.options, outputDir: folder };
  const line = taken && `${taken}: this one goes to ${folder}`;
  return { ...resolved, options, chosen: [...resolved.chosen, ...(line === undefined ? [] : [line])] };
}

async function firstRunChoice(
  { options }: ResolvedOptions,
  given: GivenImages | undefined,
): Promise<TrainInput> {
  const { images, medianSize } = await surveyImages({ ...options, given });
  const cores = options.threads ?? availableParallelism();
  return firstRunDefaults({ images, medianSize, imagesPerSecondEstimate: guessRate(cores) });
}

interface FinetuneRequest {
  readonly fetch: FetchCheckpoint;
  readonly images: GivenImages | undefined;
  readonly minutes: number | undefined;
  readonly note: (line: string) => void;
}

/** Notes which released weights fit the time; their name where a time is given, so that they are taken. */
function advise(
  { images, medianSize }: { images: number; medianSize: number },
  { minutes: given, note, cores }: Pick<FinetuneRequest, "minutes" | "note"> & { readonly cores: number },
): string | undefined {
  const minutes = given ?? USUAL_MINUTES;
  const isTaken = given !== undefined;
  const advice = adviseFinetune({ images, medianSize, cores, minutes });
  note(describeAdvice(advice, { minutes, cores, isTaken }));
  return isTaken ? advice.weights.name : undefined;
}

async function finetuneChoice(
  { options, sources }: ResolvedOptions,
  { fetch, images, ...time }: FinetuneRequest,
): Promise<TrainInput> {
  const cores = options.threads ?? availableParallelism();
  const survey = await surveyImages({ ...options, given: images });
  const advised = options.finetune === null ? advise(survey, { ...time, cores }) : undefined;
  const finetune = options.finetune ?? (await defaultCheckpoint(fetch, { name: advised }));
  await fetch(finetune);
  await using checkpoint = await openCheckpoint(finetune, { weights: options.weights ?? undefined });
  const size = options.inputSize === null ? undefined : inputSizeOf({ inputSize: options.inputSize }, 0);
  const model =
    sources.model === "default" ? checkpoint.expectModel({ inputSize: size }) : createModel(options.model);
  const { mean = options.mean, std = options.std } = mergePreprocessing(
    checkpoint.metadata,
    model.preprocessing,
  );
  const patchSize = model.transformer?.patchSize ?? 1;
  const { usualSize: usual } = model;
  const own = usual === undefined ? model.config.inputSize : ([usual, usual] as const);
  const inputSize = size ?? fittingSize(own, { medianSize: survey.medianSize, patchSize });
  const chosen = finetuneDefaults({
    ...survey,
    mean,
    std,
    model: model.name,
    inputSize,
    distilled: model.config.distilled,
    cropRatio: checkpoint.preprocessing.cropRatio ?? model.preprocessing?.cropRatio,
    macs: createModel(model.name, { inputSize }).macs,
    minutes: time.minutes,
    cores,
  });
  return { finetune, ...chosen };
}
