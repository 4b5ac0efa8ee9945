/** What is kept of a pass over images: for each image and head a few numbers. Pure. */
import type { AnsweredBatch } from "../logits.ts";
import type { Answer, HeadName, JointRule, LabelledRow } from "./metrics.ts";
import { HEADS, labelledRows } from "./metrics.ts";

export { HEADS };
export type { HeadName };

/** The answers of one head to n images: entry i of each array belongs to the same image. */
export interface HeadAnswers {
  /** Class indices; -1 where the model answered NaN. */
  readonly predicted: Int32Array;
  /** Probability of the predicted class, 0 to 1. */
  readonly confidence: Float64Array;
  /** Probability of the label's class, 0 to 1. */
  readonly truth: Float64Array;
  /** Classes that the head prefers to the label's: 0 is a right answer. */
  readonly rank: Int32Array;
  /** Cross-entropy in nats. */
  readonly loss: Float64Array;
}

/** n images in the order of the dataset, without those that cannot be read. */
export interface ImageAnswers {
  /** Index of the image in the dataset. */
  readonly images: Uint32Array;
  /** Class indices. */
  readonly labels: Int32Array;
  readonly heads: { readonly class: HeadAnswers } & Partial<Readonly<Record<HeadName, HeadAnswers>>>;
}

/** The head that a model is judged by: both together, where there are two. */
export function mainAnswers({ heads }: Pick<ImageAnswers, "heads">): HeadAnswers {
  return heads.joint ?? heads.class;
}

/** Gathers the batches of one pass. */
export class AnswerSheet {
  readonly numClasses: number;
  readonly joint: JointRule;
  private readonly images: Uint32Array;
  private readonly labels: Int32Array;
  private readonly heads = new Map<HeadName, HeadAnswers>();
  private n = 0;

  /** Room for `capacity` images of `numClasses` classes. */
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
    this.images = new Uint32Array(capacity);
    this.labels = new Int32Array(capacity);
  }

  /** Rows labelled -1 are left out. @throws ShapeError, DeitError as `labelledRows` */
  add(batch: Omit<AnsweredBatch, "size">): void {
    for (const row of labelledRows(batch, this)) this.addRow(row);
  }

  addRow({ image, label, heads }: LabelledRow): void {
    this.images[this.n] = image;
    this.labels[this.n] = label;
    for (const head of HEADS) {
      const own = heads[head];
      if (own !== undefined) this.write(head, own.answer);
    }
    this.n++;
  }

  result(): ImageAnswers {
    const { n } = this;
    const found: [HeadName, HeadAnswers][] = [...this.heads].map(
      ([head, { predicted, confidence, truth, rank, loss }]) => [
        head,
        {
          predicted: predicted.subarray(0, n),
          confidence: confidence.subarray(0, n),
          truth: truth.subarray(0, n),
          rank: rank.subarray(0, n),
          loss: loss.subarray(0, n),
        },
      ],
    );
    const heads = Object.fromEntries(found);
    return {
      images: this.images.subarray(0, n),
      labels: this.labels.subarray(0, n),
      heads: { class: heads["class"] ?? room(0), ...heads },
    };
  }

  private write(head: HeadName, { predicted, confidence, truth, rank, loss }: Answer): void {
    let answers = this.heads.get(head);
    if (answers === undefined) this.heads.set(head, (answers = room(this.images.length)));
    answers.predicted[this.n] = predicted;
    answers.confidence[this.n] = confidence;
    answers.truth[this.n] = truth;
    answers.rank[this.n] = rank;
    answers.loss[this.n] = loss;
  }
}

function room(capacity: number): HeadAnswers {
  return {
    predicted: new Int32Array(capacity),
    confidence: new Float64Array(capacity),
    truth: new Float64Array(capacity),
    rank: new Int32Array(capacity),
    loss: new Float64Array(capacity),
  };
}
