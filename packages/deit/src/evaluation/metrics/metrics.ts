/**
 * Top-1, top-5 and loss over a stream of batches, for each head of a model (§4: class, distillation, joint),
 * and the predictions of single images. Pure: no model, no files, no printing.
 *
 * An exact tie counts for the lower class index (PyTorch's topk leaves it open). A NaN beats every number, as in
 * topk, so a broken model never looks right. With fewer than 5 classes top-5 is top-K, thus 100 %.
 * The loss is the mean over images; the reference averages batch means, which weighs a short last batch more.
 */
import { DeitError, ShapeError } from "../../errors.ts";

/** Results of one head. */
export interface HeadMetrics {
  /** Percent of images whose class has the highest logit. */
  readonly acc1: number;
  /** Percent of images whose class is among the 5 (or all, if fewer) highest logits. */
  readonly acc5: number;
  /** Mean cross-entropy in nats. */
  readonly loss: number;
}

/** All but `class` are there for distilled models only. */
export interface HeadResults {
  readonly class: HeadMetrics;
  readonly distillation?: HeadMetrics;
  /** Both heads, joined by the rule that was asked for. */
  readonly joint?: HeadMetrics;
  /** Both heads by the mean of their logits (the released code). */
  readonly jointLogits?: HeadMetrics;
  /** Both heads by the sum of their softmaxes (the paper). */
  readonly jointSoftmax?: HeadMetrics;
}

/** Results of a whole evaluation: the numbers at the top are the joint ones, or the class head's without it. */
export interface EvaluationMetrics extends HeadMetrics {
  /** Images that counted: those with a label. */
  readonly images: number;
  readonly heads: HeadResults;
  /** Of a distilled model. */
  readonly tokens?: TokenSimilarity;
  /** Of a student of embeddings: cosine of its projected token and the teacher's embedding, mean over the images. */
  readonly teacherSimilarity?: number;
  /** What code measures besides, by name. */
  readonly own?: Readonly<Record<string, number>>;
}

/** Cosine of class and distillation token (§4): as parameters, and after the last layer, mean over the images. */
export interface TokenSimilarity {
  readonly parameters: number;
  readonly lastLayer: number;
}

/** How the two heads are joined: the mean of their logits (the released code), or the sum of their softmaxes (the paper's §4). */
export type JointRule = "logits" | "softmax";
const JOINT_RULES: readonly JointRule[] = ["logits", "softmax"];

/** Logits of a batch by head: row-major [B, K]. `distillation` for distilled models only. */
export interface HeadLogits {
  readonly class: Float32Array;
  readonly distillation?: Float32Array;
  /** Cosine of each image's two tokens after the last layer, [B], and of the two parameters, [1]. */
  readonly tokenSimilarity?: Float32Array;
  readonly parameterSimilarity?: Float32Array;
  /** Cosine of each image's projected token and the teacher's embedding, [B]. */
  readonly teacherSimilarity?: Float32Array;
}

/** Sums in float64, so that neither the number of images nor their order matters to the digits shown. */
interface Sums {
  top1: number;
  top5: number;
  loss: number;
}

/** The classifiers of a model (§4): `distillation` and `joint` are a distilled model's. */
export const HEADS = ["class", "distillation", "joint"] as const;
export type HeadName = (typeof HEADS)[number];

/** A batch as meters take it. Rows labelled -1 (padding, unreadable images) are skipped. */
export interface LabelledBatch {
  readonly logits: HeadLogits;
  /** [B] class indices or -1; B may be smaller than the logits' rows (a padded batch). */
  readonly labels: Int32Array;
  /** [B] numbers of the images in their dataset. */
  readonly samples?: Uint32Array;
}

/** The logits [K] of one head for one image, and what they answer. */
export interface HeadRow {
  readonly logits: Float32Array;
  readonly answer: Answer;
}

/** One image of a batch, as every meter takes it: its heads are joined and read once. */
export interface LabelledRow {
  /** Its number in the dataset; 0 where the batch has none. */
  readonly image: number;
  readonly label: number;
  readonly heads: { readonly class: HeadRow } & Readonly<Partial<Record<HeadName, HeadRow>>>;
  /** The head that the model is judged by. */
  readonly main: HeadRow;
  readonly tokenSimilarity: number;
  readonly parameterSimilarity: number | undefined;
  readonly teacherSimilarity: number | undefined;
}

/**
 * The labelled images of a batch.
 * @throws ShapeError for logits that are no [B, K]; DeitError for a label beyond K
 */
export function* labelledRows(
  { logits, labels, samples }: LabelledBatch,
  { numClasses, joint }: { numClasses: number; joint?: JointRule | undefined },
): Generator<LabelledRow> {
  for (const head of [logits.class, logits.distillation])
    if (head !== undefined && (head.length % numClasses !== 0 || head.length < labels.length * numClasses))
      throw new ShapeError(
        "labelledRows",
        [[head.length]],
        `at least ${labels.length} rows of ${numClasses} logits`,
      );
  for (const [row, label] of labels.entries()) {
    if (label < 0) continue;
    if (label >= numClasses)
      throw new DeitError(
        `An image has label ${label}, but the model has ${numClasses} classes (0 to ${numClasses - 1}).`,
        {
          code: "data/unknown-class",
          hint: "Evaluate on the dataset that the model was trained for, or fine-tune the model to this one.",
        },
      );
    const read = (own: Float32Array): HeadRow => ({ logits: own, answer: answerOf(own, label) });
    const part = (data: Float32Array): Float32Array =>
      data.subarray(row * numClasses, (row + 1) * numClasses);
    const own = read(part(logits.class));
    const distillation = logits.distillation && read(part(logits.distillation));
    const both = distillation && read(jointLogits(own.logits, distillation.logits, joint));
    yield {
      image: samples?.[row] ?? 0,
      label,
      heads: { class: own, ...(distillation && both && { distillation, joint: both }) },
      main: both ?? own,
      tokenSimilarity: logits.tokenSimilarity?.[row] ?? 0,
      parameterSimilarity: logits.parameterSimilarity?.[0],
      teacherSimilarity: logits.teacherSimilarity?.[row],
    };
  }
}

export const METER_NUMBERS = 17;

/** Gathers batches; one meter for one pass over a dataset. */
export class EvaluationMeter {
  readonly numClasses: number;
  readonly joint: JointRule;
  private images = 0;
  private readonly sums = { class: zero(), distillation: zero(), logits: zero(), softmax: zero() };
  private distilled: boolean | undefined;
  private similarity = 0;
  private parameterSimilarity: number | undefined;
  private teacherSimilarity: number | undefined;

  constructor({ numClasses, joint = "logits" }: { numClasses: number; joint?: JointRule }) {
    this.numClasses = numClasses;
    this.joint = joint;
  }

  /** Adds a batch. @throws ShapeError, DeitError as `labelledRows`; ShapeError for a head that comes and goes */
  add(logits: HeadLogits, labels: Int32Array): void {
    for (const row of labelledRows({ logits, labels }, this)) this.addRow(row);
  }

  /** Adds one image. @throws ShapeError for a head that comes and goes */
  addRow({ label, heads, tokenSimilarity, parameterSimilarity, teacherSimilarity }: LabelledRow): void {
    const { distillation, joint } = heads;
    const distilled = distillation !== undefined;
    if (this.distilled !== undefined && this.distilled !== distilled)
      throw new ShapeError("EvaluationMeter.add", [], "the same heads in every batch");
    this.distilled = distilled;
    this.parameterSimilarity = parameterSimilarity;
    this.images++;
    if (teacherSimilarity !== undefined)
      this.teacherSimilarity = (this.teacherSimilarity ?? 0) + teacherSimilarity;
    count(this.sums.class, heads.class.answer);
    if (distillation === undefined || joint === undefined) return;
    this.similarity += tokenSimilarity;
    count(this.sums.distillation, distillation.answer);
    for (const rule of JOINT_RULES)
      count(
        this.sums[rule],
        rule === this.joint
          ? joint.answer
          : answerOf(jointLogits(heads.class.logits, distillation.logits, rule), label),
      );
  }

  /** All that was added, as METER_NUMBERS numbers, so that several processes can share a pass; see `replace`. */
  numbers(): Float64Array {
    const sums = Object.values(this.sums).flatMap(({ top1, top5, loss }) => [top1, top5, loss]);
    const { images, similarity, distilled = false, parameterSimilarity, teacherSimilarity } = this;
    const maybe = [parameterSimilarity ?? NaN, teacherSimilarity ?? NaN];
    return Float64Array.of(images, similarity, ...maybe, Number(distilled), ...sums);
  }

  /** Replaces what was added by what several meters were given, added up in this order. */
  replace(parts: readonly Float64Array[]): void {
    this.images = 0;
    this.similarity = 0;
    this.teacherSimilarity = undefined;
    for (const sums of Object.values(this.sums)) Object.assign(sums, zero());
    for (const [images = 0, similarity = 0, parameters = NaN, taught = NaN, isDistilled, ...sums] of parts) {
      if (images === 0) continue;
      this.images += images;
      this.similarity += similarity;
      if (!Number.isNaN(taught)) this.teacherSimilarity = (this.teacherSimilarity ?? 0) + taught;
      this.distilled = isDistilled === 1;
      this.parameterSimilarity = Number.isNaN(parameters) ? undefined : parameters;
      for (const [i, own] of Object.values(this.sums).entries()) {
        own.top1 += sums[3 * i] ?? 0;
        own.top5 += sums[3 * i + 1] ?? 0;
        own.loss += sums[3 * i + 2] ?? 0;
      }
    }
  }

  /** @throws DeitError when no image with a label was added */
  result(): EvaluationMetrics {
    if (this.images === 0) {
      throw new DeitError("There is no image with a label to evaluate.", {
        code: "data/no-images",
        hint: "Check the folder, and that its images can be read.",
      });
    }
    const mean = ({ top1, top5, loss }: Sums): HeadMetrics => ({
      acc1: (100 * top1) / this.images,
      acc5: (100 * top5) / this.images,
      loss: loss / this.images,
    });
    const classHead = mean(this.sums.class);
    const taught = this.teacherSimilarity;
    const similarity = taught === undefined ? {} : { teacherSimilarity: taught / this.images };
    if (this.distilled !== true)
      return { images: this.images, ...classHead, heads: { class: classHead }, ...similarity };
    const joints = { logits: mean(this.sums.logits), softmax: mean(this.sums.softmax) };
    const joint = joints[this.joint];
    return {
      images: this.images,
      ...joint,
      heads: {
        class: classHead,
        distillation: mean(this.sums.distillation),
        joint,
        jointLogits: joints.logits,
        jointSoftmax: joints.softmax,
      },
      ...similarity,
      ...(this.parameterSimilarity !== undefined && {
        tokens: { parameters: this.parameterSimilarity, lastLayer: this.similarity / this.images },
      }),
    };
  }
}

/**
 * One answer of two heads, as something whose softmax is the joint probability.
 * "logits": their mean, rounded to float32 as the reference does. "softmax": the logarithm of the mean of
 * their probabilities, which ranks as their sum does.
 */
export function jointLogits(
  classLogits: Float32Array,
  distillationLogits: Float32Array,
  rule: JointRule = "logits",
): Float32Array {
  if (classLogits.length !== distillationLogits.length) {
    throw new ShapeError(
      "jointLogits",
      [[classLogits.length], [distillationLogits.length]],
      "two rows of one length",
    );
  }
  if (rule === "logits") {
    return classLogits.map((logit, index) => Math.fround(logit + (distillationLogits[index] ?? NaN)) / 2);
  }
  const a = softmax(classLogits);
  const b = softmax(distillationLogits);
  return classLogits.map((_, index) => Math.log(((a[index] ?? NaN) + (b[index] ?? NaN)) / 2));
}

/** The logits [K] of one row of a batch that a model is judged by: of both heads where there are two. */
export function mainLogits(
  { class: own, distillation }: HeadLogits,
  { row, numClasses, joint }: { row: number; numClasses: number; joint?: JointRule | undefined },
): Float32Array {
  const part = (logits: Float32Array): Float32Array =>
    logits.subarray(row * numClasses, (row + 1) * numClasses);
  return distillation === undefined ? part(own) : jointLogits(part(own), part(distillation), joint);
}

/** Probabilities of one row of logits [K] → [K], in float64; safe for large logits. */
export function softmax(logits: Float32Array): Float64Array {
  const { max, sum } = exponentials(logits);
  return Float64Array.from(logits, (logit) => Math.exp(logit - max) / sum);
}

/** One predicted class, as `deit predict --json` prints it. */
export interface Prediction {
  readonly index: number;
  readonly label: string;
  /** Softmax probability, 0 to 1. */
  readonly score: number;
}

/**
 * The `topk` most probable classes of one row of logits [K], best first; all K when there are fewer.
 * @param classes display names by index; a class without one is called by its number
 */
export function topPredictions(
  logits: Float32Array,
  { topk = 5, classes = [] }: { topk?: number; classes?: readonly string[] } = {},
): Prediction[] {
  const { max, sum } = exponentials(logits);
  const least = logits.toSorted().at(-topk) ?? -Infinity; // NaN last, thus the largest
  const isCandidate = (logit: number): boolean => Number.isNaN(logit) || logit >= least;
  const candidates = [...logits.keys()].filter((index) => isCandidate(logits[index] ?? NaN));
  // NaN first and lower index first on ties: the order that the accuracy counts by.
  return candidates
    .sort((a, b) => {
      const [own = NaN, other = NaN] = [logits[a], logits[b]];
      if (Number.isNaN(own) || Number.isNaN(other))
        return Number(Number.isNaN(other)) - Number(Number.isNaN(own)) || a - b;
      return own === other ? a - b : other - own;
    })
    .slice(0, topk)
    .map((index) => ({
      index,
      label: classes[index] ?? String(index),
      score: Math.exp((logits[index] ?? NaN) - max) / sum,
    }));
}

/** The answer to one image, as accuracy counts it. */
export interface Answer {
  /** The most probable class, the lower index on a tie; -1 when a logit is NaN, which is never right. */
  readonly predicted: number;
  /** Softmax probability of that class, 0 to 1. */
  readonly confidence: number;
  /** Softmax probability of the label's class. */
  readonly truth: number;
  /** Classes that are preferred to the label's: 0 is right. */
  readonly rank: number;
  /** Cross-entropy in nats; NaN when a logit is. */
  readonly loss: number;
}

/** What one row of logits [K] answers to an image of class `label`. */
export function answerOf(logits: Float32Array, label: number): Answer {
  const { max, sum } = exponentials(logits);
  const rank = rankOf(logits, label);
  if (Number.isNaN(sum)) return { predicted: -1, confidence: NaN, truth: NaN, rank, loss: NaN };
  const probability = (logit: number | undefined): number => Math.exp((logit ?? NaN) - max) / sum;
  return {
    predicted: logits.indexOf(max),
    confidence: probability(max),
    truth: probability(logits[label]),
    rank,
    loss: max + Math.log(sum) - (logits[label] ?? NaN),
  };
}

function zero(): Sums {
  return { top1: 0, top5: 0, loss: 0 };
}

function count(sums: Sums, { rank, loss }: Answer): void {
  if (rank < 1) sums.top1++;
  if (rank < 5) sums.top5++;
  sums.loss += loss;
}

/** Classes that a row of logits [K] puts before `label`: a tie counts for the lower index, a NaN for whatever is not the label. */
export function rankOf(logits: Float32Array, label: number): number {
  const target = logits[label] ?? NaN;
  if (Number.isNaN(target)) return logits.length;
  let above = 0;
  for (const [index, logit] of logits.entries())
    if (Number.isNaN(logit) || logit > target || (logit === target && index < label)) above++;
  return above;
}

/** The largest logit and Σ exp(logit − largest): what softmax and cross-entropy share. */
function exponentials(logits: Float32Array): { max: number; sum: number } {
  let max = -Infinity;
  for (const logit of logits) max = Math.max(max, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  return { max, sum };
}
