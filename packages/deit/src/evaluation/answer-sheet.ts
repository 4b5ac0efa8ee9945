/** What is kept of a pass over pictures: for each picture and head a few numbers. Pure. */
import type { AnsweredBatch } from "./logits.ts";
import type { JointRule } from "./metrics.ts";
import { answerOf, jointLogits } from "./metrics.ts";

/** The classifiers of a model (§4): `distillation` and `joint` are a distilled model's. */
export const HEADS = ["class", "distillation", "joint"] as const;
export type HeadName = (typeof HEADS)[number];

/** The answers of one head to n pictures: entry i of each array belongs to the same picture. */
export interface HeadAnswers {
  /** Class indices; -1 where the model answered NaN. */
  readonly predicted: Int32Array;
  /** Probability of the predicted class, 0 to 1. */
  readonly confidence: Float64Array;
  /** Probability of the label's class, 0 to 1. */
  readonly truth: Float64Array;
  /** Classes that the head prefers to the label's: 0 is a right answer. */
  readonly rank: Int32Array;
}

/** n pictures in the order of the dataset, without those that cannot be read. */
export interface PictureAnswers {
  /** Index of the picture in the dataset. */
  readonly pictures: Uint32Array;
  /** Class indices. */
  readonly labels: Int32Array;
  readonly heads: { readonly class: HeadAnswers } & Partial<Readonly<Record<HeadName, HeadAnswers>>>;
}

/** The head that a model is judged by: both together, where there are two. */
export function mainAnswers({ heads }: Pick<PictureAnswers, "heads">): HeadAnswers {
  return heads.joint ?? heads.class;
}

/** Gathers the batches of one pass. */
export class AnswerSheet {
  readonly numClasses: number;
  readonly joint: JointRule;
  private readonly pictures: Uint32Array;
  private readonly labels: Int32Array;
  private readonly heads = new Map<HeadName, HeadAnswers>();
  private n = 0;

  /** Room for `capacity` pictures of `numClasses` classes. */
  constructor({
    numClasses,
    capacity,
    joint = "logits",
  }: {
    numClasses: number;
    capacity: number;
    joint?: JointRule | undefined;
  }) {
    this.numClasses = numClasses;
    this.joint = joint;
    this.pictures = new Uint32Array(capacity);
    this.labels = new Int32Array(capacity);
  }

  /** Rows labelled -1 are left out. */
  add({ logits, labels, samples }: Omit<AnsweredBatch, "size">): void {
    const { numClasses } = this;
    const rowOf = (data: Float32Array, row: number): Float32Array =>
      data.subarray(row * numClasses, (row + 1) * numClasses);
    for (const [row, label] of labels.entries()) {
      if (label < 0) continue;
      const own = rowOf(logits.class, row);
      this.pictures[this.n] = samples[row] ?? 0;
      this.labels[this.n] = label;
      this.write("class", own, label);
      if (logits.distillation !== undefined) {
        const other = rowOf(logits.distillation, row);
        this.write("distillation", other, label);
        this.write("joint", jointLogits(own, other, this.joint), label);
      }
      this.n++;
    }
  }

  result(): PictureAnswers {
    const { n } = this;
    const found: [HeadName, HeadAnswers][] = [...this.heads].map(
      ([head, { predicted, confidence, truth, rank }]) => [
        head,
        {
          predicted: predicted.subarray(0, n),
          confidence: confidence.subarray(0, n),
          truth: truth.subarray(0, n),
          rank: rank.subarray(0, n),
        },
      ],
    );
    const heads = Object.fromEntries(found);
    return {
      pictures: this.pictures.subarray(0, n),
      labels: this.labels.subarray(0, n),
      heads: { class: heads["class"] ?? room(0), ...heads },
    };
  }

  private write(head: HeadName, logits: Float32Array, label: number): void {
    let answers = this.heads.get(head);
    if (answers === undefined) this.heads.set(head, (answers = room(this.pictures.length)));
    const { predicted, confidence, truth, rank } = answerOf(logits, label);
    answers.predicted[this.n] = predicted;
    answers.confidence[this.n] = confidence;
    answers.truth[this.n] = truth;
    answers.rank[this.n] = rank;
  }
}

function room(capacity: number): HeadAnswers {
  return {
    predicted: new Int32Array(capacity),
    confidence: new Float64Array(capacity),
    truth: new Float64Array(capacity),
    rank: new Int32Array(capacity),
  };
}
