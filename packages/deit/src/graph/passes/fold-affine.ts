/**
 * What only linear layers read is not scaled and shifted first: (x·γ + β)·Wᵀ + b = x·(W·γ)ᵀ + (β·Wᵀ + b). A normalisation's
 * weight γ and bias β [D], and their gradients, so become nearly free, as weights are small beside activations. γ and β
 * stay the parameters that they are: the folded weight is a function of them, and differentiated as such.
 */
import type { Node, Value } from "../graph.ts";
import { add, mul } from "../ops/elementwise.ts";
import { gemm, linear } from "../ops/matmul.ts";
import { reshape } from "../ops/broadcast.ts";
import { unshaped } from "../ops/broadcast.ts";
import { asLinear, readersOf, withVector } from "./patterns.ts";
import type { Pass } from "./rewrite.ts";
import { rewrite } from "./rewrite.ts";

/** x·γ + β, where a linear layer over the last axis reads it; either may be missing. */
interface Affine {
  readonly x: Value;
  readonly scale: Value | undefined;
  readonly shift: Value | undefined;
}

export const foldAffine: Pass = (outputs) => {
  const readers = readersOf(outputs);
  const isFolded = (value: Value): boolean =>
    readers(value).every((reader) => reader !== "outputs" && foldsInto(reader, value));
  return rewrite(outputs, (node, [x, weight, bias]) => {
    if (x === undefined || weight === undefined || asLinear(node) === undefined) return undefined;
    const original = unshaped(node.inputs[0] ?? x);
    const affine = foldsInto(node, original) && isFolded(original) ? affineOf(unshaped(x)) : undefined;
    if (affine === undefined) return undefined;
    const { scale, shift } = affine;
    const shifted = shift && linear(shift, weight);
    return [
      gemm(
        reshape(affine.x, x.shape),
        scale === undefined ? weight : mul(weight, scale),
        shifted === undefined ? bias : bias === undefined ? shifted : add(shifted, bias),
        { transB: true },
      ),
    ];
  });
};

/** Whether a node is a linear layer whose features are the value's last axis. */
function foldsInto(node: Node, value: Value): boolean {
  const layer = asLinear(node);
  return layer !== undefined && unshaped(layer.x) === value && layer.x.shape.at(-1) === value.shape.at(-1);
}

function affineOf(value: Value): Affine | undefined {
  const shifted = withVector(value, "add");
  const scaled = withVector(shifted?.rest ?? value, "mul");
  if (shifted === undefined && scaled === undefined) return undefined;
  return { x: scaled?.rest ?? shifted?.rest ?? value, scale: scaled?.vector, shift: shifted?.vector };
}
