/**
 * Random erasing (Zhong et al. 2020; timm's RandomErasing): rectangles of the normalised image are replaced by normal
 * noise. The noise is after normalisation, where bytes have no room for it: it goes into a batch of its own as codes,
 * which the program puts into the images (training/loop/pixels.ts).
 */
import type { Random } from "../random.ts";
import { createRandom, normalQuantile } from "../random.ts";
import { roundHalfEven } from "./crop.ts";
import type { ErasingMode, Operation } from "./operation.ts";
import type { Region } from "./rgb-image.ts";

export interface ErasingOptions {
  readonly probability: number;
  readonly mode: ErasingMode;
  /** Rectangles in an image, which share the area. */
  readonly count: number;
}

const AREA = [0.02, 1 / 3] as const;
const LOG_ASPECT = [Math.log(0.3), Math.log(1 / 0.3)] as const;

/** At most 10 tries for each rectangle: its area is even in 2…33 % of the image, its aspect log-uniform in 0.3…3.3. */
export function drawErasing(
  random: Random,
  { width, height }: { width: number; height: number },
  { probability, mode, count }: ErasingOptions,
): Operation[] {
  if (random.uniform() >= probability) return [];
  const regions: Region[] = [];
  for (let box = 0; box < count; box++) {
    for (let attempt = 0; attempt < 10; attempt++) {
      const area = (random.uniform(...AREA) * width * height) / count;
      const aspect = Math.exp(random.uniform(...LOG_ASPECT));
      const h = roundHalfEven(Math.sqrt(area * aspect));
      const w = roundHalfEven(Math.sqrt(area / aspect));
      if (w >= width || h >= height) continue;
      const top = random.integer(height - h + 1);
      regions.push({ top, left: random.integer(width - w + 1), width: w, height: h });
      break;
    }
  }
  return [{ op: "erase", regions, mode, noise: random.integer(2 ** 32) }];
}

/** Codes 1…255 are the values −127/32…127/32; 0 is not code. */
const ZERO = 128;
const STEPS = 32;

/** The normalised value of a code. */
export function noiseValue(code: number): number {
  return (code - ZERO) / STEPS;
}

/** Codes of the quantiles of the normal distribution, so that 16 random bits are a code. */
let quantiles: Uint8Array | undefined;
function normalCodes(): Uint8Array {
  quantiles ??= Uint8Array.from({ length: 2 ** 16 }, (_, i) => {
    const value = normalQuantile((i + 0.5) / 2 ** 16);
    return Math.min(Math.max(ZERO + Math.round(value * STEPS), 1), 255);
  });
  return quantiles;
}

/** Writes the codes of an erasing to the planes [3, height, width] at `offset` of `target`. */
export function writeNoise(
  { regions, mode, noise }: Extract<Operation, { op: "erase" }>,
  target: Uint8Array,
  { offset, size: [height, width] }: { offset: number; size: readonly [number, number] },
): void {
  const codes = normalCodes();
  const random = createRandom(noise, "noise");
  let bits = 0;
  let left = 0; // 16-bit halves in `bits`
  const next = (): number => {
    if (left === 0) {
      bits = random.integer(2 ** 32);
      left = 2;
    }
    const code = codes[bits & 0xffff] as number;
    bits >>>= 16;
    left--;
    return code;
  };
  for (const region of regions) {
    for (let channel = 0; channel < 3; channel++) {
      const colour = mode === "const" ? ZERO : mode === "rand" ? next() : undefined;
      for (let y = region.top; y < region.top + region.height; y++) {
        const from = offset + (channel * height + y) * width + region.left;
        if (colour !== undefined) target.fill(colour, from, from + region.width);
        else for (let i = from; i < from + region.width; i++) target[i] = next();
      }
    }
  }
}
