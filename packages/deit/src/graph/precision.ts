/**
 * Mixed precision: which operations of a lowered graph compute in float16, with casts where both kinds meet. As PyTorch's
 * autocast: matrix products and convolutions in float16; softmax, normalisation, sums, and whatever is not on a list here
 * in float32; what does no harm follows its operands, and is float32 where they differ. Weights are float32 and cast once a
 * run, whoever reads them. So the residual stream (positions, sums of it) is float32: no gradient keeps it, which makes it
 * cost no memory that counts.
 */
import type { Node, OpDefinition, Target, Value } from "./graph.ts";
import {
  apply,
  at,
  atScope,
  constantData,
  createNode,
  inputName,
  isInput,
  operands,
  topologicalOrder,
} from "./graph.ts";
import { cast, expand } from "./ops.ts";

/** How activations and products are computed; weights, moments and losses are float32. */
export type Precision = "float32" | "float16";

/**
 * WebGPU's kernels add the terms of a product up in the type of the operands; those of the CPU and of CUDA in float32. In
 * float16 a sum of n terms is off by about √n/7,000 of its size, and one of 1s ends at 2048. So there a product of more
 * terms than this is computed in float32: the gradients of weights, which are sums over all tokens of a batch, and
 * products over many features.
 */
const LONGEST_HALF_SUM = 512;

/** Float32 within; what they give is kept for the gradient and read by products, so their first output goes on in float16. */
const NARROWED = new Set(["layerNormalization", "batchNormInference", "softmax"]);

/** As precise as their operands: no sums of many terms, no results much larger than what they are made of. */
const FOLLOWERS = new Set(
  (
    "reshape expand transpose slice split concat pad gather stridedWindow optimizationBarrier " +
    "add sub mul div neg abs maximum minimum select relu gelu tanh sigmoid erf exp clip ceil maxPool"
  ).split(" "),
);

/** A constant between these magnitudes keeps its precision: float16's smallest normal and its largest number. */
const [SMALLEST, LARGEST] = [2 ** -14, 65504];

const inFloat32Op: OpDefinition<Readonly<Record<string, never>>> = {
  name: "inFloat32",
  infer: ([x]) => [x],
  gradient: ({ grad }) => [grad],
  evaluate: ([x]) => [x.data],
  onnx: () => ({ type: "Identity" }),
};

/** x, float32 from here on in mixed precision: logits, before a loss reads them. */
export function inFloat32(x: Value): Value {
  return apply(inFloat32Op, [x], {});
}

/**
 * The same values, of the types they had, with float16 inside. Wants a graph that is lowered for the target. `weights`:
 * names of the inputs that are not data.
 */
export function toFloat16(
  values: readonly Value[],
  { weights = new Set(), target = "cpu" }: { weights?: ReadonlySet<string>; target?: Target } = {},
): Value[] {
  const longest = target === "webgpu" ? LONGEST_HALF_SUM : Number.POSITIVE_INFINITY;
  const rebuilt = new Map<Value, Value>();
  const inHalf = memoized(halved);
  const inFull = memoized((value) => cast(value, "float32"));
  const fromWeights = new Set<Node>();
  const casts: Casts = { inHalf, inFull, fromWeights, longest };
  for (const node of topologicalOrder(values)) {
    if (isInput(node) ? weights.has(inputName(node)) : node.inputs.every(isFixed(fromWeights)))
      fromWeights.add(node);
    if (node.inputs.length === 0) continue;
    const inputs = node.inputs.map((value) => rebuilt.get(value) ?? value);
    const made = atScope(node.scope, () => {
      if (node.op.name === inFloat32Op.name) return inputs.map(inFull);
      const results = createLike(node, inputs, casts);
      return isNarrowed(node, inputs, casts) ? [inHalf(at(results, 0)), ...results.slice(1)] : results;
    });
    for (const [i, value] of node.outputs.entries()) rebuilt.set(value, at(made, i));
  }
  return values.map((value) => {
    const result = rebuilt.get(value) ?? value;
    return value.dtype === "float32" ? inFull(result) : result;
  });
}

interface Casts {
  readonly inHalf: (value: Value) => Value;
  readonly inFull: (value: Value) => Value;
  readonly fromWeights: ReadonlySet<Node>;
  /** Terms that are added up in float16, at most. */
  readonly longest: number;
}

/** The outputs of a node over inputs of its precision. */
function createLike(node: Node, inputs: readonly Value[], casts: Casts): readonly Value[] {
  const isHalf = computesInHalf(node, inputs, casts);
  const operands = inputs.map((value) => {
    if (!value.dtype.startsWith("float")) return value;
    return isHalf ? casts.inHalf(value) : casts.inFull(value);
  });
  const unchanged = operands.every((value, i) => value === node.inputs[i]);
  return unchanged ? node.outputs : createNode(node.op, operands, node.attributes).outputs;
}

function computesInHalf(node: Node, inputs: readonly Value[], { fromWeights, longest }: Casts): boolean {
  const { name } = node.op;
  const [first] = inputs;
  if (node.op.terms !== undefined)
    return (first?.dtype.startsWith("float") ?? false) && !isLong(node, inputs, longest);
  if (!FOLLOWERS.has(name)) return false;
  if (name === "optimizationBarrier") return first?.dtype === "float16";
  const floats = inputs.filter(({ dtype }) => dtype.startsWith("float"));
  const rank = Math.max(...floats.map(({ shape }) => shape.length));
  // A bias is a vector of weights beside a matrix or more: it joins what it is added to.
  const isBias = (value: Value, i: number): boolean =>
    value.shape.length === 1 && rank > 1 && fromWeights.has(node.inputs[i]?.node ?? value.node);
  return (
    floats.some(({ dtype }) => dtype === "float16") &&
    inputs.every((value, i) => value.dtype !== "float32" || keepsPrecision(value) || isBias(value, i))
  );
}

/** Whether a product adds up more terms than float16 can. */
function isLong({ op, attributes }: Node, inputs: readonly Value[], longest: number): boolean {
  return (op.terms?.(operands(inputs), attributes) ?? 0) > longest;
}

function isNarrowed(node: Node, inputs: readonly Value[], { fromWeights, longest }: Casts): boolean {
  const { name } = node.op;
  // A softmax over float32 is part of a loss.
  if (NARROWED.has(name)) return name !== "softmax" || inputs[0]?.dtype === "float16";
  // What a layer gives is kept for the gradient; the gradient of a weight is read once, in float32.
  return isLong(node, inputs, longest) && node.inputs.some((value) => fromWeights.has(value.node));
}

/** Whether a value is a constant that float16 holds as well; expanded or not. */
function keepsPrecision(value: Value): boolean {
  const data = constantData(unexpanded(value));
  if (data === undefined) return false;
  for (const number of data) {
    const size = Math.abs(Number(number));
    if (size !== 0 && (size < SMALLEST || (size > LARGEST && Number.isFinite(size)))) return false;
  }
  return true;
}

function unexpanded(value: Value): Value {
  return value.node.op.name === "expand" ? at(value.node.inputs, 0) : value;
}

/** The value in float16. An expanded constant is cast before it is expanded: that costs nothing. */
function halved(value: Value): Value {
  const inner = unexpanded(value);
  if (inner !== value && constantData(inner) !== undefined)
    return expand(cast(inner, "float16"), value.shape);
  return cast(value, "float16");
}

/** Whether a value is a constant or made of weights alone. */
function isFixed(fromWeights: ReadonlySet<Node>): (value: Value) => boolean {
  return (value) => fromWeights.has(value.node) || constantData(value) !== undefined;
}

/** One result for each value, so that all who want the cast share it. */
function memoized(f: (value: Value) => Value): (value: Value) => Value {
  const known = new Map<Value, Value>();
  return (value) => {
    const result = known.get(value) ?? f(value);
    known.set(value, result);
    return result;
  };
}
