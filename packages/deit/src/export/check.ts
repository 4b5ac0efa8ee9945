/** Whether an exported file answers as the model it was made of: reloaded, run on images, compared. */
import { DeitError } from "../errors.ts";
import type { Classifier } from "../evaluation/classifier.ts";
import { classifierOf, openClassifier } from "../evaluation/classifier.ts";
import type { LoadedModel } from "../evaluation/checkpoints/load-model.ts";
import { mainLogits } from "../evaluation/metrics/metrics.ts";
import type { ShareReport } from "../evaluation/metrics/share.ts";
import { shareReport } from "../evaluation/metrics/share.ts";
import type { Sample } from "./sample.ts";

/** Logits [n, K] of the joint classifier. */
export interface Answers {
  readonly logits: Float32Array;
  readonly numClasses: number;
}

/** How one file's answers compare with the model's. */
export interface Comparison {
  /** The file, below the export's folder. */
  readonly file: string;
  /** By what the file was run: on images prepared as in evaluation (deit), or on whole ones that it prepares itself. */
  readonly by: "deit" | "transformers.js" | "onnxruntime";
  readonly bytes: number;
  readonly images: number;
  /** Top-1 in percent of the labels; undefined without labels. */
  readonly acc1: number | undefined;
  /** The same as a count, with its interval. */
  readonly share: ShareReport | undefined;
  /** Difference from the model's own, in points, with the half width of its paired 95 % interval over the images. */
  readonly change: { readonly points: number; readonly interval: number } | undefined;
  /** Part of the images that are given the same class, in percent. */
  readonly agreement: number;
  /** Largest difference of a logit; undefined where only classes are known. */
  readonly largestDifference: number | undefined;
}

/** Files that hold all digits may differ by rounding alone. */
export const TOLERANCE = 2e-3;

/** What the model that is exported answers. */
export async function answersOfModel(loaded: LoadedModel, sample: Sample): Promise<Answers> {
  return answersOf(classifierOf(loaded, { device: "cpu" }), sample);
}

/** What a file answers, loaded as any user would. */
export async function answersOfFile(file: string, sample: Sample): Promise<Answers> {
  return answersOf(await openClassifier(file, { device: "cpu" }), sample);
}

async function answersOf(opened: Classifier, sample: Sample): Promise<Answers> {
  await using classifier = opened;
  const { file, inputSize, numClasses } = classifier;
  if (inputSize.join() !== sample.size.join())
    throw new DeitError(`${file} takes images of ${inputSize.join(" × ")}, not ${sample.size.join(" × ")}`, {
      code: "export/input-size",
    });
  const heads = await classifier.logits(sample.pixels);
  const logits = new Float32Array(sample.labels.length * numClasses);
  for (let row = 0; row < sample.labels.length; row++)
    logits.set(mainLogits(heads, { row, numClasses }), row * numClasses);
  return { logits, numClasses };
}

/** Predicted classes; the lower index on a tie. */
export function classesOf({ logits, numClasses }: Answers): Int32Array {
  return Int32Array.from({ length: logits.length / numClasses }, (_, i) => {
    const row = logits.subarray(i * numClasses, (i + 1) * numClasses);
    return row.indexOf(row.reduce((most, logit) => Math.max(most, logit), -Infinity));
  });
}

/** Compares predicted classes, and logits where both have them. */
export function compare(
  reference: Answers,
  found: Answers | Int32Array,
  { labels, ...file }: { labels: Int32Array } & Pick<Comparison, "file" | "by" | "bytes">,
): Comparison {
  const expected = classesOf(reference);
  const classes = found instanceof Int32Array ? found : classesOf(found);
  const largestDifference =
    found instanceof Int32Array
      ? undefined
      : found.logits.reduce(
          (largest, logit, i) => Math.max(largest, Math.abs(logit - (reference.logits[i] ?? Number.NaN))),
          0,
        );
  const isSame = largestDifference !== undefined && largestDifference <= TOLERANCE;
  const right = (answers: Int32Array): number[] =>
    [...answers].flatMap((answer, i) => ((labels[i] ?? -1) < 0 ? [] : [answer === labels[i] ? 1 : 0]));
  const [before, after] = [right(expected), right(classes)];
  const changes = after.map((value, i) => value - (before[i] ?? 0));
  const same = classes.reduce((count, answer, i) => count + (answer === expected[i] ? 1 : 0), 0);
  return {
    ...file,
    images: classes.length,
    acc1: after.length === 0 ? undefined : 100 * mean(after),
    share: after.length === 0 ? undefined : shareReport({ correct: sum(after), images: after.length }),
    change:
      changes.length === 0
        ? undefined
        : { points: 100 * mean(changes), interval: isSame ? 0 : intervalOf(changes) },
    agreement: (100 * same) / classes.length,
    largestDifference,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

/**
 * Half width, in points, of the 95 % interval of a mean of paired changes, -1, 0 or 1 each: Bonett and Price (2012), who
 * add a change in either direction, so that few images without one do not look sure.
 */
function intervalOf(changes: readonly number[]): number {
  const part = (change: number): number =>
    (changes.filter((value) => value === change).length + 1) / (changes.length + 2);
  const [lost, won] = [part(-1), part(1)];
  return 196 * Math.sqrt((lost + won - (won - lost) ** 2) / (changes.length + 2));
}
