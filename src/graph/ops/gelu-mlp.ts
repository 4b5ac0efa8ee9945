/**
 * The feed-forward network (§3): Linear, exact (erf) GELU, Linear, as one operation. GELU(z) = z·½(1 + erf(z/√2)),
 * so with 1/√2 folded into the first layer and √½ into the second, only u·(1 + erf u) is left between them.
 */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, Value } from "../graph.ts";
import { createNode, output } from "../graph.ts";
import { dimAt, sizeOf } from "../shape.ts";
import { reshape } from "./broadcast.ts";
import { add, div, erf, exp, mul } from "./elementwise.ts";
import { columnSum, gemm } from "./matmul.ts";

/** Outputs: y [M, out], and for the gradient u [M, hidden], 1 + erf u, and u·(1 + erf u). */
const geluMlpOp: OpDefinition<Readonly<Record<string, never>>> = {
  name: "geluMlp",
  differentiableOutputs: 1,
  infer: ([x, w1, b1, w2, b2]) => {
    const [hidden = 0, features = 0] = w1.shape;
    const [outFeatures = 0, hidden2 = 0] = w2.shape;
    if (x.shape.length !== 2 || x.shape[1] !== features || hidden !== hidden2 || b1.shape[0] !== hidden || b2.shape[0] !== outFeatures) {
      throw new ShapeError(
        "geluMlp",
        [x.shape, w1.shape, b1.shape, w2.shape, b2.shape],
        "x [M, in], weights [hidden, in] and [out, hidden], biases [hidden] and [out]",
      );
    }
    const rows = dimAt(x.shape, 0);
    const inner = { dtype: x.dtype, shape: [rows, hidden] };
    return [{ dtype: x.dtype, shape: [rows, outFeatures] }, inner, inner, inner];
  },
  lower: ([x, w1, b1, w2, b2]) => {
    const u = gemm(x, mul(w1, Math.SQRT1_2), mul(b1, Math.SQRT1_2), { transB: true });
    const onePlusErf = add(erf(u), 1);
    const activated = mul(u, onePlusErf);
    return [gemm(activated, mul(w2, Math.SQRT1_2), b2, { transB: true }), u, onePlusErf, activated];
  },
  gradient: ({ inputs: [x, w1, , w2], outputs: [, u, onePlusErf, activated], grad }) => {
    // d/du u(1 + erf u) = 1 + erf u + 2/√π · u / exp(u²); exp(u²) may be infinite, then the quotient is 0.
    const slope = add(onePlusErf, mul(div(u, exp(mul(u, u))), 2 / Math.sqrt(Math.PI)));
    const byU = mul(gemm(grad, mul(w2, Math.SQRT1_2)), slope);
    return [
      gemm(byU, mul(w1, Math.SQRT1_2)),
      mul(gemm(byU, x, undefined, { transA: true }), Math.SQRT1_2),
      mul(columnSum(byU), Math.SQRT1_2),
      mul(gemm(grad, activated, undefined, { transA: true }), Math.SQRT1_2),
      columnSum(grad),
    ];
  },
};

export interface MlpWeights {
  /** fc1: [hidden, in] and [hidden]. */
  readonly weight1: Value;
  readonly bias1: Value;
  /** fc2: [out, hidden] and [out]. */
  readonly weight2: Value;
  readonly bias2: Value;
}

/** x: [..., in] → [..., out]. */
export function geluMlp(x: Value, { weight1, bias1, weight2, bias2 }: MlpWeights): Value {
  const features = dimAt(x.shape, -1);
  const rows = reshape(x, [sizeOf(x.shape) / features, features]);
  const y = output(createNode(geluMlpOp, [rows, weight1, bias1, weight2, bias2], {}), 0);
  return reshape(y, [...x.shape.slice(0, -1), dimAt(weight2.shape, 0)]);
}
