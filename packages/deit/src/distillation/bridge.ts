/**
 * From the student's images to the teacher's: the very same pixels, under the teacher's normalisation and at its
 * resolution (antialiased bicubic, as images are resized elsewhere). Inside a program.
 */
import type { Normalisation } from "../augmentation/normalisation.ts";
import { resizeMatrix } from "../augmentation/resize.ts";
import type { Value } from "../graph/graph.ts";
import { at, constant } from "../graph/graph.ts";
import { add, matmul, mul } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";

/** What of a model decides how it wants its images. */
export interface ImageNeeds {
  readonly normalisation: Normalisation;
  /** [height, width]. */
  readonly inputSize: readonly [number, number];
}

/** pixels: [B, 3, H, W] normalised for the student → [B, 3, H', W'] normalised for the teacher. */
export function bridge(pixels: Value, from: Normalisation, { normalisation, inputSize }: ImageNeeds): Value {
  return resizeTo(renormalise(pixels, from, normalisation), inputSize);
}

/** ((x · s + m) − m') / s', by channel; as it is where both are the same. */
function renormalise(x: Value, from: Normalisation, to: Normalisation): Value {
  if (from.mean.join() === to.mean.join() && from.std.join() === to.std.join()) return x;
  const perChannel = (f: (channel: number) => number): Value =>
    constant(Float32Array.from([0, 1, 2], f), [3, 1, 1]);
  return add(
    mul(
      x,
      perChannel((c) => at(from.std, c) / at(to.std, c)),
    ),
    perChannel((c) => (at(from.mean, c) - at(to.mean, c)) / at(to.std, c)),
  );
}

function resizeTo(x: Value, [height, width]: readonly [number, number]): Value {
  const [rows, columns] = [dimAt(x.shape, 2), dimAt(x.shape, 3)];
  const wide =
    columns === width
      ? x
      : matmul(x, constant(transposed(resizeMatrix(columns, width), columns), [columns, width]));
  return rows === height ? wide : matmul(constant(resizeMatrix(rows, height), [height, rows]), wide);
}

/** A row-major matrix with `columns` columns, transposed. */
function transposed(matrix: Float32Array, columns: number): Float32Array {
  const rows = matrix.length / columns;
  return matrix.map((_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)] ?? 0);
}
