/**
 * A checkpoint of any maker, open: its tensors under timm's names, and what is known of its model from the file and from
 * the config.json and preprocessor_config.json beside it. Weights are read when asked for.
 */
import { basename, dirname } from "node:path";
import type { PartialPreprocessing } from "../../augmentation/preprocessing.ts";
import { DEIT_PREPROCESSING, mergePreprocessing } from "../../augmentation/preprocessing.ts";
import type { Architecture } from "../../formats/architecture.ts";
import { architectureOf, describeForeign } from "../../formats/architecture.ts";
import type { WeightsChoice } from "../../formats/find-weights.ts";
import { readHuggingFaceConfig } from "../../formats/huggingface.ts";
import type { TimmView } from "../../formats/key-maps.ts";
import { timmView } from "../../formats/key-maps.ts";
import { firstIn, RUN_AVERAGED, RUN_WEIGHTS } from "../../formats/model-folder.ts";
import type { ModelMetadata } from "../../formats/model-metadata.ts";
import { decodeModelMetadata } from "../../formats/model-metadata.ts";
import type { ModelSettings } from "../../formats/model-settings.ts";
import { readModelSettings } from "../../formats/model-settings.ts";
import { decodePreprocessing } from "../../formats/preprocessing-metadata.ts";
import { openTensorFile } from "../../formats/tensor-file.ts";
import { ConfigError } from "../../errors.ts";
import type { ModelPreprocessing } from "../../models/model.ts";
import type { Model, ModelOptions } from "../../models/registry.ts";
import { createModel } from "../../models/registry.ts";
import { assumptionsOf, identifyConvnets, identifyModel } from "../../models/identify.ts";
import { repositoryOf } from "../../interop/hub-cache.ts";
import { openOnnxWeights } from "../../interop/onnx-weights.ts";
import { findPretrained, pretrainedOf } from "../../models/pretrained.ts";
import { locateCheckpoint } from "./locate-checkpoint.ts";

export interface Checkpoint extends AsyncDisposable {
  /** The file with the weights. */
  readonly path: string;
  /** timm's names. */
  readonly file: TimmView;
  /** What the file says of itself, and what lies beside it. */
  readonly metadata: Partial<ModelMetadata>;
  /** What is known of how images are prepared. */
  readonly preprocessing: PartialPreprocessing;
  /** Whether whoever made it leaves nothing to be assumed: our own files, and the authors' weights. */
  readonly isSure: boolean;
  /** What the tensors of a vision transformer say; undefined for others. */
  readonly architecture: Architecture | undefined;
  /**
   * The model that it was made for; undefined when that cannot be determined.
   * @param inputSize [height, width] of the images, for weights whose patches make no square and that do not say it
   */
  model(options?: IdentifyCheckpointOptions): Model | undefined;
  /** The same. @throws ConfigError (checkpoint/unknown-model) saying what the file is instead */
  expectModel(options?: IdentifyCheckpointOptions): Model;
  /** What the user should know: tensors passed over, an epsilon of its own. */
  readonly notes: readonly string[];
  /** What `model()` assumes, a sentence each; nothing to say where the user names the model. */
  readonly assumptions: readonly string[];
}

export interface IdentifyCheckpointOptions {
  readonly inputSize?: readonly [number, number] | undefined;
}

export interface OpenCheckpointOptions {
  /** Which of several weights: "model" (trained), "ema" (averaged), or their name in the file. */
  readonly weights?: WeightsChoice | undefined;
}

/**
 * Opens a file, a run folder, a model folder of Hugging Face's or a Hub id.
 * @throws DataError, FormatError, and what the Hub throws
 */
export async function openCheckpoint(
  given: string,
  { weights }: OpenCheckpointOptions = {},
): Promise<Checkpoint> {
  const path = await locateCheckpoint(given, { weights });
  const file = await openView(path, { weights });
  try {
    const own = decodeModelMetadata(file.metadata, { file: path });
    // Our own files say it all; a config.json beside them may belong to another model.
    const settings = own.model === undefined ? await readModelSettings(path) : undefined;
    const config = settings?.config && readHuggingFaceConfig(settings.config.text, settings.config);
    const release = findPretrained(repositoryOf(path) ?? given) ?? pretrainedOf(given);
    const isOfficial = release !== undefined;
    const ofRelease = release && createModel(release.model).preprocessing;
    const beside = settings && preprocessingOf(settings, { isOfficial, ofRelease });
    const inside = decodePreprocessing(file.metadata, { file: path });
    const preprocessing = mergePreprocessing(inside, beside?.preprocessing);
    const { mean, std } = preprocessing;
    const metadata: Partial<ModelMetadata> = {
      ...(settings?.classes && { classes: settings.classes }),
      ...(config?.inputSize && { inputSize: config.inputSize }),
      ...(mean && std && { mean, std }),
      ...own,
    };
    const architecture = architectureOf(file.tensors);
    const isBare = own.model === undefined;
    const convnets = isBare && architecture === undefined ? identifyConvnets(file.tensors) : [];
    const numHeads = config?.dims?.numHeads ?? config?.numHeads;
    const model: Checkpoint["model"] = (options = {}) => {
      const inputSize = metadata.inputSize ?? options.inputSize;
      if (own.model !== undefined)
        return ownModel(own.model, path, {
          numClasses: own.classes?.length,
          inputSize: metadata.inputSize,
        });
      if (architecture === undefined) return convnets[0];
      const name = config?.architecture ?? release?.model;
      return identifyModel(architecture, { numHeads, inputSize, numClasses: config?.numClasses, name });
    };
    return {
      path,
      file,
      metadata,
      architecture,
      preprocessing,
      isSure: !isBare || isOfficial,
      notes: [
        ...file.notes,
        ...(await averagedBeside(given, { path, weights, file })),
        ...(config?.warnings ?? []),
        ...(beside?.notes ?? []),
      ],
      assumptions: isBare ? assumed({ architecture, numHeads, convnets }) : [],
      model,
      expectModel(options) {
        const found = model(options);
        if (found === undefined) throw unrecognised(path, { file, architecture });
        return found;
      },
      [Symbol.asyncDispose]: async () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The file under timm's names; closed when it cannot be seen so. */
async function openView(path: string, options: OpenCheckpointOptions): Promise<TimmView> {
  const file = await (path.toLowerCase().endsWith(".onnx") ? openOnnxWeights : openTensorFile)(path);
  try {
    return timmView(file, options);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** What is assumed of weights that say nothing of themselves. */
function assumed({
  architecture,
  numHeads,
  convnets,
}: {
  architecture: Architecture | undefined;
  numHeads: number | undefined;
  convnets: readonly Model[];
}): string[] {
  if (architecture === undefined) return [assumptionsOf(convnets) ?? []].flat();
  if (numHeads !== undefined) return [];
  try {
    const side = architecture.patchSize;
    const any = { ...architecture, inputSize: undefined, numClasses: Math.max(1, architecture.numClasses) };
    const found = identifyModel(any, { inputSize: [side, side * architecture.numPatches] });
    return [assumptionsOf(found) ?? []].flat();
  } catch (error) {
    if (error instanceof ConfigError) return []; // as model() says
    throw error;
  }
}

/** Of a run that kept averaged weights, too, and whose best weights are gone: which were taken. */
async function averagedBeside(
  given: string,
  { path, weights, file }: { path: string; file: TimmView } & OpenCheckpointOptions,
): Promise<string[]> {
  const kind = file.metadata["weights"];
  if (given === path || weights !== undefined || kind === undefined) return [];
  if (basename(path) === RUN_WEIGHTS[0]) return []; // the run chose them, and its report says which they are
  const other = kind === "averaged" ? "model" : "ema";
  const beside = await firstIn(dirname(path), RUN_AVERAGED);
  if (beside === undefined || beside === path) return [];
  return [
    `used: ${basename(path)}, the ${kind} weights (--weights ${other} takes the other ones of the run)`,
  ];
}

/** A file that is not a model known here. */
function unrecognised(
  path: string,
  { file, architecture }: Pick<Checkpoint, "file" | "architecture">,
): ConfigError {
  return new ConfigError("model", `${path} does not name its model, and ${describeForeign(file.tensors)}`, {
    code: "checkpoint/unknown-model",
    hint:
      architecture === undefined
        ? "DeiTs and plain vision transformers, RegNetY and the ResNets of deit models are read. Any other classifier works as an .onnx file, for eval, predict and --teacher-path."
        : "Name it with --model, for example --model deit_tiny_patch16_224; deit models lists them.",
  });
}

/** The model that a file of ours names. @throws ConfigError for one that is not known, as of a later version */
function ownModel(name: string, path: string, options: ModelOptions): Model {
  try {
    return createModel(name, options);
  } catch (cause) {
    if (!(cause instanceof ConfigError) || cause.path !== "model") throw cause;
    throw new ConfigError(
      "model",
      `${path} names its model ${JSON.stringify(name.slice(0, 80))}, which is unknown to this version`,
      {
        code: "checkpoint/unknown-model",
        hint: "A later version may know it. If the name is wrong, give the right one with --model.",
        cause,
      },
    );
  }
}

/**
 * How images are prepared. What the authors' own repositories of transformers say (no crop, for plain models a mean of
 * 0.5) is neither how these models were trained nor what their published accuracy is of: there ImageNet's and 224 of 256 hold.
 */
function preprocessingOf(
  { preprocessing, hasProcessor, notes }: ModelSettings,
  { isOfficial, ofRelease }: { isOfficial: boolean; ofRelease: ModelPreprocessing | undefined },
): Pick<ModelSettings, "preprocessing" | "notes"> {
  if (!isOfficial) return { preprocessing, notes };
  if (!hasProcessor)
    return { preprocessing: mergePreprocessing(preprocessing, ofRelease, DEIT_PREPROCESSING), notes };
  return {
    preprocessing: mergePreprocessing(ofRelease, DEIT_PREPROCESSING),
    notes: [
      "images are prepared as for these weights' training and published accuracy, not by its preprocessor_config.json",
    ],
  };
}
