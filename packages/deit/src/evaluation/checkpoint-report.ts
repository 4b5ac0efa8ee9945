/** What `deit eval --json` prints. Other tools read it: add keys, never rename these. */
import type { ClassScores, MacroScores } from "./metrics/confusion-counts.ts";
import type { EvaluationMetrics, HeadMetrics } from "./metrics/metrics.ts";

/** What every evaluation tells; `deit eval --json` adds to it (CheckpointReport). */
export interface EvaluationReport extends EvaluationMetrics {
  readonly model: string;
  readonly imagesPerSecond: number;
}

/** The document of `deit eval --json`, its keys in the documented order. `seconds`: of the whole evaluation. */
export function evaluationReport({
  model,
  metrics: { images, acc1, acc5, loss, heads, tokens },
  seconds,
}: {
  model: string;
  metrics: EvaluationMetrics;
  seconds: number;
}): EvaluationReport {
  const imagesPerSecond = seconds > 0 ? images / seconds : 0;
  return { model, images, acc1, acc5, loss, heads, ...(tokens && { tokens }), imagesPerSecond };
}

/** Of one checkpoint. Accuracies in percent. */
export interface CheckpointReport extends EvaluationReport {
  /** What it is called beside others. */
  readonly name: string;
  readonly checkpoint: string;
  readonly dataset: string;
  /** Classes that could be answered. */
  readonly classes: number;
  /** [height, width]. */
  readonly inputSize: readonly [number, number];
  readonly cropRatio: number;
  /** How images were prepared, in words. */
  readonly preprocessing?: string;
  /** Images whose class was answered first. */
  readonly correct?: number;
  /** Of top-1, in percent (Wilson). `resamples` are those of differences between models. */
  readonly interval?: {
    readonly level: number;
    readonly resamples: number;
    readonly acc1: readonly [number, number];
  };
  /** Accuracy among the k best, by k. */
  readonly topk?: Readonly<Record<string, number>>;
  readonly calibration: CalibrationReport;
  /** The most frequent mistakes. */
  readonly confusions: readonly {
    readonly label: string;
    readonly predicted: string;
    readonly count: number;
  }[];
  /** Classes that there are images of. */
  readonly perClass: readonly ClassReport[];
  /** Means over these classes, each counting the same. */
  readonly macro: MacroScores;
  /** Classes that could be answered, and that no image is of. */
  readonly classesWithoutImages: readonly string[];
  /** Wrong images, the largest loss first. */
  readonly wrong: readonly WrongReport[];
  /** By ReaL's labels. */
  readonly real?: RealReport;
}

export interface CalibrationReport {
  /** Expected calibration error of top-1 in 15 bins, 0 to 1. */
  readonly ece: number;
  /** Mean confidence − accuracy, 0 to 1. */
  readonly overconfidence: number;
  /** Of least loss, over all images. */
  readonly temperature?: number;
  readonly atEdge?: boolean;
  /** Each half of the images at the temperature of the other half. */
  readonly crossFitted?: { readonly ece: number; readonly loss: number };
}

/** `recall` is `acc1` under its other name. */
export interface ClassReport extends ClassScores {
  readonly index: number;
  readonly class: string;
  readonly images: number;
  readonly acc1: number;
  /** Images of any class that were answered with it, and how many of them are of it. */
  readonly answered: number;
  readonly right: number;
}

export interface WrongReport {
  /** As the dataset names it: a path below its folder, "cifar10 test 123". */
  readonly image: string;
  readonly label: string;
  /** Null where the model answered NaN, as the numbers are. */
  readonly predicted: string | null;
  /** Probability of the answer, and of the label, 0 to 1. */
  readonly confidence: number | null;
  readonly truth: number | null;
  /** Cross-entropy in nats. */
  readonly loss: number | null;
}

export interface RealReport extends Pick<HeadMetrics, "acc1" | "acc5"> {
  /** Images that have labels. */
  readonly images: number;
  readonly heads: Readonly<
    Partial<Record<"class" | "distillation" | "joint", Pick<HeadMetrics, "acc1" | "acc5">>>
  >;
}

/** How much better `to` is than `from`, on the same images. In points of percent. */
export interface Difference {
  readonly from: string;
  readonly to: string;
  readonly acc1: number;
  /** 95 %. */
  readonly interval: readonly [number, number];
}

/** Of several checkpoints. */
export interface ComparisonReport {
  readonly models: readonly CheckpointReport[];
  readonly differences: readonly Difference[];
}
