/**
 * Mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019) as DeiT uses them (§6; timm's Mixup): which rows of a batch
 * are mixed with which weight, and what becomes of their targets. The partner of row i is row B − 1 − i. The pixels
 * are mixed by the program (training/loop/pixels.ts); `mixImages` does the same to two images that people look at.
 */
import { ConfigError } from "../errors.ts";
import type { Random } from "../random.ts";
import type { RgbImage, Region } from "./rgb-image.ts";

export interface MixupOptions {
  /** α of Beta(α, α) for Mixup's λ; 0: no Mixup. */
  readonly mixup: number;
  /** The same for CutMix. */
  readonly cutmix: number;
  /** Range of CutMix' sides as shares of the image's, in place of Beta; then CutMix is on whatever its α. */
  readonly cutmixMinmax: readonly [number, number] | null;
  /** How often anything is mixed. */
  readonly prob: number;
  /** How often it is CutMix, where both are on. */
  readonly switchProb: number;
  /** One draw for the batch, for each pair of rows, or for each row. */
  readonly mode: "batch" | "pair" | "elem";
}

/** What happens to one row. */
export interface Mix {
  /** Weight of the row's own pixels and label; with a box, the share of its own pixels. */
  readonly lambda: number;
  /** The part that is pasted from the partner (CutMix). */
  readonly box?: Region;
}

const NOT_MIXED: Mix = { lambda: 1 };

/** @throws ConfigError for an odd batch, which has no pairs */
export function checkPairs(batchSize: number): void {
  if (batchSize % 2 === 0) return;
  throw new ConfigError(
    "batchSize",
    `a batch of ${batchSize} cannot be mixed: Mixup and CutMix pair images`,
    { code: "options/odd-batch", hint: "Use an even --batch-size, or --mixup 0 --cutmix 0." },
  );
}

/** One mix for each row of a batch of images of [height, width]. @throws ConfigError for an odd batch */
export function drawMixes(
  random: Random,
  options: MixupOptions,
  { batchSize, size }: { batchSize: number; size: readonly [number, number] },
): Mix[] {
  checkPairs(batchSize);
  const half = batchSize / 2;
  switch (options.mode) {
    case "batch": {
      const mix = drawMix(random, options, size);
      return Array.from({ length: batchSize }, () => mix);
    }
    case "pair": {
      const pairs = Array.from({ length: half }, () => drawMix(random, options, size));
      return [...pairs, ...pairs.toReversed()];
    }
    case "elem":
      return Array.from({ length: batchSize }, () => drawMix(random, options, size));
  }
}

function drawMix(random: Random, options: MixupOptions, size: readonly [number, number]): Mix {
  const { mixup, cutmixMinmax, prob, switchProb } = options;
  const cutmix = cutmixMinmax === null ? options.cutmix : 1;
  if (random.uniform() >= prob) return NOT_MIXED;
  const cuts = mixup > 0 && cutmix > 0 ? random.uniform() < switchProb : cutmix > 0;
  const alpha = cuts ? cutmix : mixup;
  if (!(alpha > 0)) return NOT_MIXED;
  const lambda = random.beta(alpha, alpha);
  if (!cuts) return { lambda };
  const box = cutmixMinmax ? drawBoxBySides(random, cutmixMinmax, size) : drawBox(random, lambda, size);
  return pasted(box, size);
}

/** λ is what the box, cut off at the border, leaves. */
function pasted(box: Region, [height, width]: readonly [number, number]): Mix {
  return { lambda: 1 - (box.width * box.height) / (height * width), box };
}

/**
 * A box of about 1 − λ of the area around any [y, x] of the image, clipped to it. As timm 1.0: with an odd side the
 * box reaches one pixel further down and right (before, timm left that pixel out).
 */
export function boxAround(
  lambda: number,
  [height, width]: readonly [number, number],
  [y, x]: readonly [number, number],
): Region {
  const ratio = Math.sqrt(1 - lambda);
  const [top, bottom] = sideAround(y, Math.trunc(height * ratio), height);
  const [left, right] = sideAround(x, Math.trunc(width * ratio), width);
  return { top, left, height: bottom - top, width: right - left };
}

/** From and to of a side of that length around a centre, within [0, limit]. */
function sideAround(centre: number, length: number, limit: number): [number, number] {
  const from = Math.max(centre - Math.floor(length / 2), 0);
  return [from, Math.min(centre + Math.floor((length + 1) / 2), limit)];
}

function drawBox(random: Random, lambda: number, size: readonly [number, number]): Region {
  const y = random.integer(size[0]);
  return boxAround(lambda, size, [y, random.integer(size[1])]);
}

function drawBoxBySides(
  random: Random,
  [low, high]: readonly [number, number],
  [height, width]: readonly [number, number],
): Region {
  const side = (length: number): number => {
    const [from, to] = [Math.trunc(length * low), Math.trunc(length * high)];
    return from + random.integer(Math.max(to - from, 1));
  };
  const [h, w] = [side(height), side(width)];
  const top = random.integer(height - h + 1);
  return { top, left: random.integer(width - w + 1), height: h, width: w };
}

/** As the program reads it, [B, 6]: own weight outside the box and inside it, then top, left, bottom and right. */
export function mixFeed(mixes: readonly Mix[]): Float32Array {
  const feed = new Float32Array(mixes.length * 6);
  for (const [row, { lambda, box }] of mixes.entries()) {
    const values = box
      ? [1, 0, box.top, box.left, box.top + box.height, box.left + box.width]
      : [lambda, lambda];
    feed.set(values, row * 6);
  }
  return feed;
}

/** λ of the row's own target and 1 − λ of its partner's. targets: [B, K] → [B, K]. */
export function mixTargets(targets: Float32Array, mixes: readonly Mix[], numClasses: number): Float32Array {
  const mixed = new Float32Array(targets.length);
  for (const [row, { lambda }] of mixes.entries()) {
    const own = row * numClasses;
    const partner = (mixes.length - 1 - row) * numClasses;
    for (let k = 0; k < numClasses; k++)
      mixed[own + k] = lambda * (targets[own + k] ?? 0) + (1 - lambda) * (targets[partner + k] ?? 0);
  }
  return mixed;
}

/** What the model sees of two images of the same size, rounded to whole pixel values. */
export function mixImages(own: RgbImage, partner: RgbImage, { lambda, box }: Mix): RgbImage {
  const { width, height } = own;
  if (box === undefined) {
    const data = own.data.map((value, i) =>
      Math.round(lambda * value + (1 - lambda) * (partner.data[i] ?? 0)),
    );
    return { width, height, data };
  }
  const data = own.data.slice();
  for (let y = box.top; y < box.top + box.height; y++) {
    const from = (y * width + box.left) * 3;
    data.set(partner.data.subarray(from, from + box.width * 3), from);
  }
  return { width, height, data };
}
