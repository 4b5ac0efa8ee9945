/** Picking elements by index. */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, Value } from "../graph.ts";
import { apply, constant } from "../graph.ts";
import { dimAt, resolveAxis, sizeOf } from "../shape.ts";
import { reshape } from "./broadcast.ts";
import { equal } from "./compare.ts";
import { cast } from "./elementwise.ts";
import { matmul } from "./matmul.ts";

const gatherOp: OpDefinition<{ axis: number }> = {
  name: "gather",
  infer: ([x, indices], { axis }) => {
    if (indices.dtype !== "int64" && indices.dtype !== "int32") {
      throw new ShapeError("gather", [x.shape, indices.shape], `integer indices, not ${indices.dtype}`);
    }
    return [
      { dtype: x.dtype, shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)] },
    ];
  },
  // Rows that were picked twice add up: a product with the one-hot matrix, in a fixed order of summation.
  gradient: ({ inputs: [x, indices], grad, attributes: { axis } }) => {
    const length = dimAt(x.shape, axis);
    const rows = reshape(grad, [
      sizeOf(x.shape.slice(0, axis)),
      sizeOf(indices.shape),
      sizeOf(x.shape.slice(axis + 1)),
    ]);
    return [
      reshape(matmul(oneHot(reshape(indices, [-1]), length), rows, { transA: true }), x.shape),
      undefined,
    ];
  },
  evaluate: ([x, indices], { axis }) => {
    const inner = sizeOf(x.shape.slice(axis + 1));
    const length = dimAt(x.shape, axis);
    const outer = sizeOf(x.shape.slice(0, axis));
    const result = new Float64Array(outer * indices.data.length * inner);
    let to = 0;
    for (let i = 0; i < outer; i++) {
      for (const index of indices.data) {
        const start = (i * length + (index < 0 ? index + length : index)) * inner;
        result.set(x.data.subarray(start, start + inner), to);
        to += inner;
      }
    }
    return [result];
  },
  onnx: (_, { axis }) => ({ type: "Gather", attributes: { axis } }),
};

/** Picks elements of one axis by integer indices (0 to length − 1), whose shape takes the axis' place. */
export function gather(x: Value, indices: Value, axis: number): Value {
  return apply(gatherOp, [x, indices], { axis: resolveAxis("gather", axis, x.shape) });
}

/** Rows of the identity: indices [...] (int32 or int64) → [..., classes] float32. */
export function oneHot(indices: Value, classes: number): Value {
  const numbers = Array.from({ length: classes }, (_, i) => i);
  const iota =
    indices.dtype === "int64"
      ? constant(BigInt64Array.from(numbers, BigInt), [classes], "int64")
      : constant(Int32Array.from(numbers), [classes], "int32");
  return cast(equal(reshape(indices, [...indices.shape, 1]), iota), "float32");
}
