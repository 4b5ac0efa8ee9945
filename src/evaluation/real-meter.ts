/** Top-1 and top-5 where a picture may have several right answers, or none and then does not count. Pure. */
import type { AnsweredBatch } from "./answers.ts";
import type { HeadName } from "./answer-sheet.ts";
import type { RealReport } from "./checkpoint-report.ts";
import type { JointRule } from "./metrics.ts";
import { jointLogits, rankOf } from "./metrics.ts";

export class RealMeter {
  private images = 0;
  private readonly right = new Map<HeadName, { top1: number; top5: number }>();
  private readonly options: {
    readonly numClasses: number;
    /** Right answers to a picture of the dataset. */
    readonly labels: (picture: number) => readonly number[] | undefined;
    readonly joint?: JointRule | undefined;
  };

  constructor(options: RealMeter["options"]) {
    this.options = options;
  }

  add({ logits, labels, samples }: Omit<AnsweredBatch, "size">): void {
    const { numClasses, joint } = this.options;
    for (const [row, label] of labels.entries()) {
      const accepted = label < 0 ? [] : (this.options.labels(samples[row] ?? 0) ?? []);
      if (accepted.length === 0) continue;
      this.images++;
      const part = (data: Float32Array): Float32Array =>
        data.subarray(row * numClasses, (row + 1) * numClasses);
      const own = part(logits.class);
      this.count("class", own, accepted);
      if (logits.distillation === undefined) continue;
      const other = part(logits.distillation);
      this.count("distillation", other, accepted);
      this.count("joint", jointLogits(own, other, joint), accepted);
    }
  }

  result(): RealReport {
    const percent = ({ top1, top5 }: { top1: number; top5: number }): { acc1: number; acc5: number } => ({
      acc1: (100 * top1) / this.images,
      acc5: (100 * top5) / this.images,
    });
    const heads = Object.fromEntries([...this.right].map(([head, counts]) => [head, percent(counts)]));
    const none = { top1: 0, top5: 0 };
    const main = this.right.get("joint") ?? this.right.get("class") ?? none;
    return { images: this.images, ...percent(main), heads };
  }

  private count(head: HeadName, logits: Float32Array, accepted: readonly number[]): void {
    const counts = this.right.get(head) ?? { top1: 0, top5: 0 };
    this.right.set(head, counts);
    const best = Math.min(...accepted.map((label) => rankOf(logits, label)));
    if (best < 1) counts.top1++;
    if (best < 5) counts.top5++;
  }
}
