/** Shapes of tensors: sizes, strides, broadcasting by NumPy's rules. All shapes are static and positive. */
import { ShapeError } from "../errors.ts";

export type Shape = readonly number[];

/** Number of elements; 1 for a scalar's []. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** Row-major strides in elements: [2, 3, 4] → [12, 4, 1]. */
export function stridesOf(shape: Shape): number[] {
  const strides = Array.from<number>({ length: shape.length });
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= dimAt(shape, i);
  }
  return strides;
}

/** The dimension at an axis that is known to exist. */
export function dimAt(shape: Shape, axis: number): number {
  const dim = shape[axis < 0 ? axis + shape.length : axis];
  if (dim === undefined) throw new RangeError(`axis ${axis} of shape [${shape.join(", ")}]`);
  return dim;
}

/**
 * The shape both operands broadcast to. @throws ShapeError naming the operation and `given`: the operands' whole
 * shapes, where a and b are parts of them.
 */
export function broadcastShapes(op: string, a: Shape, b: Shape, given: readonly Shape[] = [a, b]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const left = a[i - rank + a.length] ?? 1;
    const right = b[i - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) {
      throw new ShapeError(op, given, "shapes that broadcast: from the last dimension on, equal or 1");
    }
    return Math.max(left, right);
  });
}

/** Axis counted from the front. @throws ShapeError when the shape has no such axis. */
export function resolveAxis(op: string, axis: number, shape: Shape): number {
  const resolved = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(axis) || resolved < 0 || resolved >= shape.length) {
    throw new ShapeError(
      op,
      [shape],
      `an axis between ${-shape.length} and ${shape.length - 1}, not ${axis}`,
    );
  }
  return resolved;
}

/** Axes counted from the front, ascending; all axes when undefined. */
export function resolveAxes(
  op: string,
  axes: number | readonly number[] | undefined,
  shape: Shape,
): number[] {
  if (axes === undefined) return shape.map((_, i) => i);
  const list = (typeof axes === "number" ? [axes] : axes).map((axis) => resolveAxis(op, axis, shape));
  if (new Set(list).size !== list.length)
    throw new ShapeError(op, [shape], `distinct axes, not ${String(axes)}`);
  return list.toSorted((a, b) => a - b);
}
