/** What an open classifier is asked and what it answers. */
import type { Normalisation } from "../augmentation/normalisation.ts";
import type { RgbImage } from "../augmentation/rgb-image.ts";
import type { Preprocessing } from "../augmentation/preprocessing.ts";
import type { EvaluationTransformOptions } from "../augmentation/transform.ts";
import type { Dataset } from "../data/dataset.ts";
import type { EvaluationDataOptions } from "../data/open.ts";
import type { DeviceOptions } from "./classifier-device.ts";
import type { ImageInput } from "./image-input.ts";
import type { Readout } from "./intermediates.ts";
import type { LoadedModel, LoadModelOptions } from "./checkpoints/load-model.ts";
import type { AnsweredBatch, EvaluateHooks, OutputBatch } from "./logits.ts";
import type { EvaluationMetrics, HeadLogits, JointRule, Prediction } from "./metrics/metrics.ts";
import type { OnnxModel } from "./onnx/third-party-model.ts";

export interface Classifier extends AsyncDisposable {
  /** Registered name, or the name of an ONNX file. */
  readonly name: string;
  readonly file: string;
  readonly numClasses: number;
  /** [height, width]. */
  readonly inputSize: readonly [number, number];
  /** Display names by index; undefined where nobody names them. */
  readonly classes: readonly string[] | undefined;
  /** The same, with `class 7` for a class that nobody names. */
  readonly labels: readonly string[];
  readonly normalisation: Normalisation;
  /** Part of the resized image that evaluation looks at. */
  readonly cropRatio: number;
  /** How images are prepared. */
  readonly preprocessing: Preprocessing;
  /** The same as a loader takes it. */
  readonly transform: EvaluationTransformOptions;
  /** What the user should know of it, a sentence each. */
  readonly notes: readonly string[];
  /** Images of each batch of an ONNX file that takes no others; undefined: any number. */
  readonly batchSize: number | undefined;
  /** A model of this package with its weights, or a foreign ONNX file. */
  readonly source: LoadedModel | OnnxModel;

  /**
   * The `topk` (default 5) most probable classes of an image, best first, with softmax probabilities; of several images,
   * those of each in the same order.
   * @throws DataError naming an image that cannot be read
   */
  classify(image: ImageInput, options?: ClassifyOptions): Promise<Prediction[]>;
  classify(images: readonly ImageInput[], options?: ClassifyOptions): Promise<Prediction[][]>;
  /** The logits of a dataset's images, in order. Images that cannot be read have label -1. */
  answers(dataset: Dataset, options?: AnswersOptions): AsyncGenerator<DatasetAnswers>;
  /** Accuracy and loss of every head on a dataset, or on the images that options name, as `deit eval` opens them. */
  evaluate(
    data: Dataset | EvaluationDataOptions,
    options?: PassOptions & { readonly joint?: JointRule | undefined },
  ): Promise<EvaluationMetrics>;
  /** What the model's heads see (`FEATURES`), of every image that can be read. @throws ConfigError for an ONNX file that was not opened for its `embedding` */
  features(images: Images, options?: PassOptions): Promise<Features>;
  /**
   * Anything else of the forward pass: a readout's outputs, batch by batch.
   * @throws ConfigError for an ONNX file that was not opened with `intermediates`
   */
  intermediates(images: Images, readout: Readout, options?: PassOptions): AsyncGenerator<ReadoutBatch>;
  /**
   * Logits [n, K] of every head for n images that are prepared already: bytes [n, 3, H, W]. `batchSize`: so many at a time,
   * the last padded; default: parts of 32, 8 and 1.
   */
  logits(pixels: Uint8Array, options?: { readonly batchSize?: number | undefined }): Promise<HeadLogits>;
  /** Writes an image as the model takes it, bytes [3, H, W], to `target` (default a new array) at `offset`. */
  prepare(image: RgbImage, target?: Uint8Array, offset?: number): Uint8Array;
  /** Puts the model on its device ahead of the first question, for batches of a size (default 1). */
  load(options?: { readonly batchSize?: number | undefined }): Promise<void>;
  /** Frees the device, unless it was given. Nothing can be asked afterwards. */
  close(): Promise<void>;
}

/** Images to ask about: a dataset, or a list. */
export type Images = Dataset | readonly ImageInput[];

export interface ClassifyOptions {
  readonly topk?: number | undefined;
  /** How the heads of a distilled model are joined; default the mean of their logits. */
  readonly joint?: JointRule | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How to go through many images. */
export interface PassOptions extends EvaluateHooks {
  /** Default 32 for logits, 16 for everything else. */
  readonly batchSize?: number | undefined;
  /** Threads that decode; default one a core. */
  readonly workers?: number | null | undefined;
  /** Images of a dataset that cannot be read to put up with; default as `createLoader`. */
  readonly maxBroken?: number | undefined;
}

export interface AnswersOptions extends PassOptions {
  /** The model's index of each class that logits are wanted for; default: all, in the model's order. */
  readonly order?: Int32Array | undefined;
  /** The label of each class of the dataset among the classes answered for; default: the same. */
  readonly relabel?: Int32Array | undefined;
}

/** How far a pass is. */
interface Passed {
  /** Since the model was on its device. */
  readonly seconds: number;
  /** Whether a row holds an image that could be read. */
  readable(row: number): boolean;
  /** What is wrong with those that could not, by number; of the whole pass so far. */
  readonly broken: ReadonlyMap<number, string>;
}

export interface ReadoutBatch extends OutputBatch, Passed {}
export interface DatasetAnswers extends AnsweredBatch, Passed {}

/** n images: row i of `data` [n, width], row-major, belongs to label i (-1 for images without one). */
export interface Features {
  readonly data: Float32Array;
  readonly width: number;
  readonly labels: Int32Array;
}

export interface ClassifierOptions extends DeviceOptions {
  /** Part of the resized image that evaluation looks at, when not the checkpoint's own. */
  readonly evalCropRatio?: number | undefined;
  /** Names by index, for checkpoints that do not hold them. */
  readonly classes?: readonly string[] | undefined;
}

export interface OpenClassifierOptions
  extends Omit<LoadModelOptions, "inputSize" | "weights">, ClassifierOptions {
  /** Which of a checkpoint's weights: "model", "ema", or their name in the file; default as `loadModel`. */
  readonly weights?: string | null | undefined;
  /** [height, width] or a side, when it is not the checkpoint's own: position embeddings are interpolated. */
  readonly inputSize?: number | readonly [number, number] | null | undefined;
  /** Intermediates will be read: an ONNX file's weights are put into a model of this package, or it is refused. */
  readonly intermediates?: boolean | undefined;
  /** It is asked for `features`: an ONNX file needs an output of image embeddings, and no checkpoint a classifier. */
  readonly embedding?: boolean | undefined;
}
