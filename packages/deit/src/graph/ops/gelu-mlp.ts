/**
 * The feed-forward network (§3): Linear, exact (erf) GELU, Linear, as one operation. For training, GELU and its
 * slope are computed together, while their operands are in the cache, and constant factors go into the
 * products: with u = z/√2 and c = 2/√π, t = (1 + erf u)/c, GELU(z) = c√½ · u·t and GELU'(z) = c/2 · (t + u/exp(u²)).
 */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, Value } from "../graph.ts";
import { createNode, output } from "../graph.ts";
import { dimAt, sizeOf } from "../shape.ts";
import { reshape } from "./broadcast.ts";
import { add, div, erf, exp, full, gelu, mul, neg } from "./elementwise.ts";
import { columnSum, gemm } from "./matmul.ts";

const C = 2 / Math.sqrt(Math.PI);
/** Factors of the two products. */
const FIRST = Math.SQRT1_2;
const SECOND = C * Math.SQRT1_2;

/** Outputs: y [M, out]; for the gradient to reuse, u·t and t + u/exp(u²), [M, hidden]. */
const geluMlpOp: OpDefinition<Readonly<Record<string, never>>> = {
  name: "geluMlp",
  differentiableOutputs: 1,
  infer: ([x, w1, b1, w2, b2]) => {
    const [hidden = 0, features = 0] = w1.shape;
    const [outFeatures = 0, hidden2 = 0] = w2.shape;
    const fits = x.shape.length === 2 && x.shape[1] === features && hidden === hidden2;
    if (!fits || b1.shape[0] !== hidden || b2.shape[0] !== outFeatures) {
      throw new ShapeError(
        "geluMlp",
        [x.shape, w1.shape, b1.shape, w2.shape, b2.shape],
        "x [M, in], weights [hidden, in] and [out, hidden], biases [hidden] and [out]",
      );
    }
    const rows = dimAt(x.shape, 0);
    const inner = { dtype: x.dtype, shape: [rows, hidden] };
    return [{ dtype: x.dtype, shape: [rows, outFeatures] }, inner, inner];
  },
  lower: ([x, w1, b1, w2, b2], _, target, [, ...forGradient]) => {
    if (!forGradient.includes(true) && target !== "webgpu") {
      const y = gemm(gelu(gemm(x, w1, b1, { transB: true })), w2, b2, { transB: true });
      const unused = full([1], 0);
      return [y, unused, unused];
    }
    const u = gemm(x, w1, mul(b1, FIRST), { transB: true, alpha: FIRST });
    const t = add(mul(erf(u), 1 / C), 1 / C);
    const activated = mul(u, t);
    const square = mul(u, u);
    // exp(u²) may be infinite: then the quotient is 0. Shaders may not count on infinity.
    const tail = target === "webgpu" ? mul(u, exp(neg(square))) : div(u, exp(square));
    const slope = add(t, tail);
    return [gemm(activated, w2, b2, { transB: true, alpha: SECOND }), activated, slope];
  },
  gradient: ({ inputs: [x, w1, , w2], outputs: [, activated, slope], grad }) => {
    const byU = mul(gemm(grad, w2, undefined, { alpha: SECOND }), slope);
    return [
      gemm(byU, w1, undefined, { alpha: FIRST }),
      gemm(byU, x, undefined, { transA: true, alpha: FIRST }),
      mul(columnSum(byU), FIRST),
      gemm(grad, activated, undefined, { transA: true, alpha: SECOND }),
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
