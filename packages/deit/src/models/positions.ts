/**
 * Position embeddings at another resolution (§4, "fine-tuning with distillation"): the patches' embeddings are an image
 * of rows × columns with D channels, resampled bicubically; those of class and distillation token stay.
 */
import { CheckpointError } from "../errors.ts";

export interface PositionGrids {
  /** Tokens before the patches: 1, or 2 with a distillation token. */
  readonly prefix: number;
  /** [rows, columns] of patches. */
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  /**
   * As timm's resample_abs_pos_embed: a filter that grows with the step between places, so that a smaller grid is an average
   * (interpolate(antialias=True), whose cubic has a = −½). Default: the reference's.
   */
  readonly antialias?: boolean | undefined;
}

/**
 * positions: [prefix + rows·columns, D], row-major → the same for the grid `to`. As the reference: PyTorch's
 * interpolate(mode="bicubic", align_corners=False), a = −¾, no antialiasing.
 */
export function interpolatePositions(
  positions: Float32Array,
  { prefix, from, to, antialias = false }: PositionGrids,
): Float32Array {
  const [rows, columns] = from;
  const width = positions.length / (prefix + rows * columns);
  if (!Number.isInteger(width)) {
    throw new CheckpointError(
      `${positions.length} numbers are not position embeddings of ${prefix} + ${rows} × ${columns} tokens`,
      { code: "checkpoint/wrong-tensors" },
    );
  }
  const result = new Float32Array((prefix + to[0] * to[1]) * width);
  result.set(positions.subarray(0, prefix * width));
  const isSame = rows === to[0] && columns === to[1];
  const along = antialias && !isSame ? filteredTaps : taps;
  const [vertical, horizontal] = [along(rows, to[0]), along(columns, to[1])];
  for (const [y, [firstRow, rowWeights]] of vertical.entries()) {
    for (const [x, [firstColumn, columnWeights]] of horizontal.entries()) {
      const target = (prefix + y * to[1] + x) * width;
      for (const [i, rowWeight] of rowWeights.entries()) {
        const row = clamp(firstRow + i, rows);
        for (const [j, columnWeight] of columnWeights.entries()) {
          const source = (prefix + row * columns + clamp(firstColumn + j, columns)) * width;
          const weight = rowWeight * columnWeight;
          for (let c = 0; c < width; c++)
            result[target + c] = (result[target + c] ?? 0) + weight * (positions[source + c] ?? 0);
        }
      }
    }
  }
  return result;
}

/** For each place of a new axis: the first of four old places, and their weights. */
function taps(from: number, to: number): [number, readonly number[]][] {
  return Array.from({ length: to }, (_, i) => {
    const centre = ((i + 0.5) * from) / to - 0.5;
    const first = Math.floor(centre);
    const t = centre - first;
    return [first - 1, [far(1 + t), near(t), near(1 - t), far(2 - t)]];
  });
}

/** The same with a filter as wide as two old places, or two new ones where these are farther apart; weights sum to 1. */
function filteredTaps(from: number, to: number): [number, readonly number[]][] {
  const scale = Math.max(from / to, 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = ((i + 0.5) * from) / to;
    const first = Math.max(0, Math.trunc(centre - 2 * scale + 0.5));
    const end = Math.min(from, Math.trunc(centre + 2 * scale + 0.5));
    const weights = Array.from({ length: end - first }, (__, j) => {
      const x = Math.abs((first + j + 0.5 - centre) / scale);
      return x < 1 ? near(x, -0.5) : x < 2 ? far(x, -0.5) : 0;
    });
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return [first, weights.map((weight) => weight / total)];
  });
}

/** PyTorch's without antialiasing. */
const A = -0.75;

/** Cubic convolution within one place of the centre. */
function near(x: number, a = A): number {
  return ((a + 2) * x - (a + 3)) * x * x + 1;
}

/** And from one to two places. */
function far(x: number, a = A): number {
  return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

function clamp(index: number, length: number): number {
  return Math.min(Math.max(index, 0), length - 1);
}
