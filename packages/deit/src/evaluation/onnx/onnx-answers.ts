/**
 * What a foreign model's answers are: logits, probabilities of softmax, or a sigmoid's for each class. Found behind operations
 * that keep values, else by the answers to trial images; all become logits. And the checks of what it returns.
 */
import { CheckpointError } from "../../errors.ts";
import type { OnnxNode, OnnxSignature } from "./onnx-signature.ts";

/**
 * - logits: anything whose softmax is wanted, log-probabilities among them
 * - probabilities: of softmax; rows add up to 1
 * - independent: a sigmoid's probability for each class by itself
 * - binary: one probability, that of the second of two classes
 * - binary-logit: the logit of that
 */
export type Scores = "logits" | "probabilities" | "independent" | "binary" | "binary-logit";

/** Operations that return their first input's values, perhaps rounded or in another shape. */
const KEEPING: ReadonlySet<string> = new Set(
  "Identity Cast CastLike Reshape Squeeze Unsqueeze Flatten Dropout QuantizeLinear DequantizeLinear".split(
    " ",
  ),
);
/** What returns numbers of any size. */
const LINEAR: ReadonlySet<string> = new Set(
  `Gemm MatMul Conv FusedGemm FusedMatMul FusedConv MatMulNBits QGemm QLinearMatMul QLinearConv MatMulInteger
   MatMulIntegerToFloat DynamicQuantizeMatMul`.split(/\s+/u),
);
const ENDS = new Map<string, Scores>([
  ["Softmax", "probabilities"],
  ["LogSoftmax", "logits"],
  ["Sigmoid", "independent"],
]);
/** No exporter chains more. */
const LONGEST = 64;

type Graph = Pick<OnnxSignature, "producerOf">;

/** What the operation that makes an output says of it; undefined when that leaves it open. */
export function scoresInside(graph: Graph, output: string): Scores | undefined {
  const node = makerOf(graph, output);
  if (node === undefined) return undefined;
  const linear = linearMaker(graph, output);
  if (linear === undefined) return ENDS.get(node.type);
  // a matrix behind Softmax adds probabilities of classes up: these are not logits
  return linear.inputs.some((input) => ENDS.has(makerOf(graph, input)?.type ?? "")) ? undefined : "logits";
}

/** The linear operation that makes a value, a bias added behind it or not; undefined where another one does. */
export function linearMaker(graph: Graph, output: string): OnnxNode | undefined {
  const node = makerOf(graph, output);
  if (node?.type === "Add")
    return node.inputs.map((input) => graph.producerOf(input)).find((maker) => isLinear(maker?.type));
  return isLinear(node?.type) ? node : undefined;
}

/** The operation that computes a value, behind those that keep it. */
export function makerOf({ producerOf }: Graph, value: string): OnnxNode | undefined {
  let name = value;
  for (let step = 0; step < LONGEST; step++) {
    const node = producerOf(name);
    if (node === undefined || !KEEPING.has(node.type)) return node;
    name = node.inputs[0] ?? "";
  }
  return undefined;
}

function isLinear(type: string | undefined): boolean {
  return type !== undefined && LINEAR.has(type);
}

/** How far from 1 a row of probabilities may add up, of float16 or int8. */
const SUM_TOLERANCE = 0.01;

/**
 * What the answers [rows, columns] to trial images are by their values: all at least 0 with rows adding up to 1 (or 100,
 * of percentages), all between 0 and 1, or anything.
 */
export function scoresByValues(values: Float32Array, columns: number): Scores {
  const isWithin = (most: number): boolean =>
    values.every((value) => value >= -1e-6 * most && value <= most * (1 + 1e-6));
  const addUpTo = (total: number): boolean => {
    for (let from = 0; from < values.length; from += columns) {
      const sum = values.subarray(from, from + columns).reduce((all, value) => all + value, 0);
      if (Math.abs(sum / total - 1) > SUM_TOLERANCE) return false;
    }
    return true;
  };
  if (columns === 1) return isWithin(1) ? "binary" : "binary-logit";
  if ([1, 100].some((total) => isWithin(total) && addUpTo(total))) return "probabilities";
  return isWithin(1) ? "independent" : "logits";
}

/** How much of the range of all values an image's answers may differ by beside other images: of int8, that is some percent. */
const BESIDE_TOLERANCE = 0.2;

/**
 * Checks answers [rows, columns] against those to the last image alone [columns].
 * @throws CheckpointError for a model that mixes images of a batch, or returns [classes, batch]
 */
export function checkBeside(
  values: Float32Array,
  { alone, file }: { alone: Float32Array; file: string },
): void {
  const range =
    values.reduce((most, x) => Math.max(most, x), -Infinity) -
    values.reduce((least, x) => Math.min(least, x), Infinity);
  const last = values.subarray(values.length - alone.length);
  const isSame =
    values.length % alone.length === 0 &&
    alone.every((value, i) => Math.abs(value - (last[i] ?? NaN)) <= BESIDE_TOLERANCE * range + 1e-6);
  if (isSame) return;
  throw new CheckpointError(`${file} gives an image different outputs depending on the rest of its batch`, {
    code: "onnx/wrong-output",
    hint: "It mixes the images of a batch, or returns [classes, batch]. Export it again in evaluation mode (model.eval()), with logits [batch, classes].",
  });
}

/** One column is two classes. */
export function classesOf(scores: Scores, columns: number): number {
  return columns === 1 && (scores === "binary" || scores === "binary-logit") ? 2 : columns;
}

/** A float32 whose logarithm is finite, in place of a probability of 0. */
const SMALLEST = 1e-38;
/** The largest float32 below 1. */
const LARGEST = 1 - 2 ** -24;

/** Answers [rows, columns] as logits [rows, classes]. */
export function toLogits(values: Float32Array, scores: Scores): Float32Array {
  if (scores === "logits") return values;
  if (scores === "probabilities") return values.map((p) => Math.log(Math.max(p, SMALLEST)));
  const logit = (p: number): number => {
    const inside = Math.min(Math.max(p, SMALLEST), LARGEST);
    return Math.log(inside / (1 - inside));
  };
  if (scores === "independent") return values.map(logit);
  const both = new Float32Array(2 * values.length);
  for (const [i, value] of values.entries()) both[2 * i + 1] = scores === "binary" ? logit(value) : value;
  return both;
}

/** What the user should know of scores that are not softmax's. */
export function describeScores(file: string, scores: Scores): string | undefined {
  if (scores === "independent")
    return `${file} scores each class independently (sigmoid): its scores are normalised to sum to 1`;
  const one = { binary: "probability", "binary-logit": "logit" };
  return scores === "binary" || scores === "binary-logit"
    ? `${file} returns one ${one[scores]} for each image: it is used as that of the second of two classes`
    : undefined;
}

/**
 * Checks what a model returned for `rows` images.
 * @throws CheckpointError when it is not float32 [rows, columns], or not finite
 */
export function checkAnswers(
  data: unknown,
  { file, rows, columns }: { file: string; rows: number; columns: number | undefined },
): Float32Array {
  if (!(data instanceof Float32Array)) {
    throw new CheckpointError(`${file} does not return float32 numbers, although it declares them`, {
      code: "onnx/wrong-output",
      hint: "Export it again.",
    });
  }
  const expected = rows * (columns ?? data.length / rows);
  if (data.length !== expected || !Number.isInteger(data.length / rows) || data.length === 0) {
    const said = columns === undefined ? "" : `; it declares ${columns} for each`;
    throw new CheckpointError(`${file} returns ${data.length} numbers for ${rows} images${said}`, {
      code: "onnx/wrong-output",
      hint: "The declared output shape differs from the computed one. Export it again, with logits [batch, classes].",
    });
  }
  if (!data.every(Number.isFinite)) {
    throw new CheckpointError(`${file} returns values that are not finite`, {
      code: "onnx/not-finite",
      hint: "Its weights are not finite, or its arithmetic overflows: take the float32 file, or an earlier one.",
    });
  }
  return data;
}
