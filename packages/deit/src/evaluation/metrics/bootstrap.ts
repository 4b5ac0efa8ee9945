/**
 * How sure a share is: the percentile bootstrap (Efron 1979) over images. All shares of one call are measured on the
 * same resampled images, so that differences of them are paired. Pure.
 */
import { createRandom } from "../../random.ts";

/** Bounds of the share that is meant, at some level of confidence. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  /** Times that n of the n images are drawn with replacement. */
  readonly resamples?: number | undefined;
  readonly seed?: number | undefined;
}

export const RESAMPLES = 2000;
/** Share of the resamples that lies inside an interval. */
export const LEVEL = 0.95;

/**
 * The share of images with a property, in each resample: entry [r] of property p's array. `holders[p]`: the images,
 * of `images`, that have property p.
 */
export function resampleShares(
  holders: readonly (readonly number[] | Uint32Array)[],
  images: number,
  { resamples = RESAMPLES, seed = 0 }: BootstrapOptions = {},
): Float64Array[] {
  const shares = holders.map(() => new Float64Array(resamples));
  const times = new Uint16Array(images);
  const random = createRandom(seed, "bootstrap");
  for (let r = 0; r < resamples; r++) {
    times.fill(0);
    for (let i = 0; i < images; i++) {
      const drawn = Math.floor(random.uniform() * images);
      times[drawn] = (times[drawn] ?? 0) + 1;
    }
    for (const [p, holding] of holders.entries()) {
      let count = 0;
      for (const image of holding) count += times[image] ?? 0;
      const own = shares[p];
      if (own !== undefined) own[r] = count / images;
    }
  }
  return shares;
}

/** The middle `level` of resampled values. */
export function intervalOf(values: Float64Array, level = LEVEL): Interval {
  const sorted = values.toSorted();
  const tail = (1 - level) / 2;
  return { low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) };
}

/** The interval of a − b, resample by resample. */
export function differenceInterval(a: Float64Array, b: Float64Array, level = LEVEL): Interval {
  return intervalOf(
    a.map((value, r) => value - (b[r] ?? Number.NaN)),
    level,
  );
}

/** Between the two nearest values in proportion, as NumPy's default. */
function quantile(sorted: Float64Array, part: number): number {
  const place = part * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (place - Math.floor(place)) * (above - below);
}
