/** Metrics that code gives as functions of all answers of a validation. */
import { ConfigError, DeitError } from "../errors.ts";
import type { HeadLogits } from "./metrics/metrics.ts";
import { mainLogits } from "./metrics/metrics.ts";

/** The answers for all images that could be read, in the dataset's order. */
export interface Answers {
  /** [n, K], row-major: of both heads joined, where there are two. */
  readonly logits: Float32Array;
  /** [n]. */
  readonly labels: Int32Array;
  readonly numClasses: number;
}

/** One number from all answers. */
export type Metric = (answers: Answers) => number;

/** By name: letters, digits and underscores. The log has `test_NAME`. */
export type Metrics = Readonly<Record<string, Metric>>;

const RESERVED = new Set([
  "loss",
  "acc1",
  "acc5",
  "heads",
  "images",
  "token_similarity",
  "teacher_similarity",
]);

/** @throws ConfigError for names that the log has already, or cannot hold */
export function checkMetricNames(metrics: Metrics): void {
  for (const name of Object.keys(metrics)) {
    if (/^[A-Za-z]\w*$/.test(name) && !RESERVED.has(name) && !name.startsWith("ema_")) continue;
    throw new ConfigError("metrics", `a metric cannot be called ${JSON.stringify(name)}`, {
      code: "options/metric-name",
      hint: `Use letters, digits and underscores, no name that begins with ema_, and none of ${[...RESERVED].join(", ")}.`,
    });
  }
}

/** Collects answers batch by batch: 4 · n · K bytes. */
export class AnswerCollector {
  private readonly metrics: Metrics;
  private readonly numClasses: number;
  private readonly rows: Float32Array[] = [];
  private readonly labels: number[] = [];

  constructor(metrics: Metrics, numClasses: number) {
    this.metrics = metrics;
    this.numClasses = numClasses;
  }

  /** Rows without a label are padding, or images that cannot be read. */
  add(logits: HeadLogits, labels: Int32Array): void {
    const { numClasses } = this;
    for (const [row, label] of labels.entries()) {
      if (label < 0) continue;
      this.rows.push(mainLogits(logits, { row, numClasses }).slice());
      this.labels.push(label);
    }
  }

  /** @throws DeitError for a metric that is not a number */
  result(): Readonly<Record<string, number>> {
    const { numClasses } = this;
    const logits = new Float32Array(this.rows.length * numClasses);
    for (const [i, row] of this.rows.entries()) logits.set(row, i * numClasses);
    const answers = { logits, labels: Int32Array.from(this.labels), numClasses };
    return Object.fromEntries(
      Object.entries(this.metrics).map(([name, metric]) => {
        const value: unknown = metric(answers);
        if (typeof value === "number") return [name, value];
        throw new DeitError(`the metric ${name} returned ${typeof value}; expected a number`, {
          code: "metrics/no-number",
        });
      }),
    );
  }
}
