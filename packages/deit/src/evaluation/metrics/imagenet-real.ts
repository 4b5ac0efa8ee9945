/**
 * ReaL: labels of ImageNet's validation images as people see them (Beyer et al. 2020, "Are we done with ImageNet?"), of
 * which an image may have several or none. An answer is right when it is one of them; images without any do not count.
 */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { z } from "zod";
import { DataError, FormatError } from "../../errors.ts";
import type { RealReport } from "../checkpoint-report.ts";
import type { HeadName, LabelledRow } from "./metrics.ts";
import { HEADS, rankOf } from "./metrics.ts";

/** Labels of an image by its file's name; undefined when that is not a validation image's. */
export type RealLabels = (name: string) => readonly number[] | undefined;

const schema = z.array(z.array(z.int().min(0).max(999)));
const HINT = "Give the real.json of google-research/reassessed-imagenet.";

/**
 * real.json: a list of lists of class indices, in the order of ILSVRC2012_val_00000001.JPEG on.
 * @throws DataError when there is no such file, FormatError when it is no such list
 */
export async function readRealLabels(file: string): Promise<RealLabels> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new DataError(file, `${file} cannot be read`, { code: "eval/real-labels", hint: HINT, cause });
  });
  let lists: readonly (readonly number[])[];
  try {
    lists = schema.parse(JSON.parse(text));
  } catch (cause) {
    const problem = "is not a list of lists of class indices, 0 to 999";
    throw new FormatError(file, problem, { code: "eval/real-labels", hint: HINT, cause });
  }
  return (name) => {
    const number = Number(/^ILSVRC2012_val_(\d{8})\b/.exec(basename(name))?.[1] ?? Number.NaN);
    if (Number.isNaN(number)) return undefined;
    const labels = lists[number - 1];
    if (labels !== undefined) return labels;
    throw new DataError(file, `${file} has labels of ${lists.length} images, none of ${name}`, {
      code: "eval/real-labels",
      hint: "It belongs to another set of images, or is cut off.",
    });
  };
}

/** Counts top-1 and top-5 by these labels. */
export class ImageNetRealMeter {
  private images = 0;
  private readonly right = new Map<HeadName, { top1: number; top5: number }>();
  private readonly options: {
    /** Right answers to an image of the dataset. */
    readonly labels: (image: number) => readonly number[] | undefined;
  };

  constructor(options: ImageNetRealMeter["options"]) {
    this.options = options;
  }

  add({ image, heads }: LabelledRow): void {
    const accepted = this.options.labels(image) ?? [];
    if (accepted.length === 0) return;
    this.images++;
    for (const head of HEADS) {
      const own = heads[head];
      if (own !== undefined) this.count(head, own.logits, accepted);
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
