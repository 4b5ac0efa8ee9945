/**
 * Which tensor of its model each constant of an ONNX file is. Exporters keep the names of most parameters, but fold the
 * transposition of a linear layer's weight into a constant without one: that is named after the bias that is added next, or
 * after the node, which carries the module's path. No values are looked at.
 */
import { FormatError } from "../errors.ts";
import type { NodeProto, TensorProto } from "../graph/generated/onnx_pb.ts";
import type { OnnxEdit } from "./onnx-edit.ts";
import { attributeOf } from "./onnx-edit.ts";

/** A tensor of the model: constants stacked along the first axis, or one number throughout. */
export interface NamedWeight {
  readonly shape: readonly number[];
  /** As they are stored; a number is a part that is that everywhere. */
  readonly parts: readonly (TensorProto | { readonly fill: number; readonly length: number })[];
  /** The file has the matrix as [in, out], the model as [out, in]. */
  readonly transposed?: boolean;
}

export type NamedWeights = ReadonlyMap<string, NamedWeight>;

/** A path of modules (`blocks.0.norm1.weight`), or a parameter of the whole model's own. */
const PARAMETER = /^(?:[A-Za-z_]\w*(?:\.\w+)+|cls_token|dist_token|pos_embed)$/;
/** Of numbers; others are sizes and indices. TensorProto.DataType. */
const NUMBERS: ReadonlySet<number> = new Set([1, 10, 11, 16]);
const CLASS_TOKENS = ["cls_token", "dist_token"] as const;

export const dimsOf = ({ dims }: TensorProto): number[] => dims.map(Number);

/** The tensors of a file that PyTorch, or a program that follows it, has exported. @throws FormatError when two claim one name */
export function exportedWeights(edit: OnnxEdit, file: string): NamedWeights {
  const { graph, constants } = edit;
  const weights = new Map<string, NamedWeight>();
  const put = (name: string, tensor: TensorProto, transposed = false): void => {
    const rival = weights.get(name)?.parts[0];
    if (rival !== undefined && rival !== tensor) throw merged(file, name);
    const shape = dimsOf(tensor);
    weights.set(name, { shape: transposed ? shape.toReversed() : shape, parts: [tensor], transposed });
  };
  for (const [name, tensor] of constants)
    if (PARAMETER.test(name) && NUMBERS.has(tensor.dataType)) put(name, tensor);
  const consumers = consumersOf(graph.node);
  for (const node of graph.node) {
    const matrix = constants.get(node.input[1] ?? "");
    if (matrix?.dims.length !== 2 || weights.has(matrix.name)) continue;
    const module = moduleOf(node, { consumers, constants, outputs: Number(matrix.dims[outAxis(node)]) });
    if (module !== undefined) put(`${module}.weight`, matrix, outAxis(node) === 1);
  }
  for (const [name, tensor] of lostTokens(edit, weights)) put(name, tensor);
  return weights;
}

/** Axis of a linear layer's constant that runs over its outputs. */
function outAxis(node: NodeProto): 0 | 1 {
  return node.opType === "Gemm" && attributeOf(node, "transB")?.i === 1n ? 0 : 1;
}

function consumersOf(nodes: readonly NodeProto[]): ReadonlyMap<string, readonly NodeProto[]> {
  const consumers = new Map<string, NodeProto[]>();
  for (const node of nodes) {
    for (const name of node.input) {
      const list = consumers.get(name);
      if (list === undefined) consumers.set(name, [node]);
      else list.push(node);
    }
  }
  return consumers;
}

/** The linear layer that a product belongs to. */
function moduleOf(
  node: NodeProto,
  {
    consumers,
    constants,
    outputs,
  }: {
    consumers: ReturnType<typeof consumersOf>;
    constants: OnnxEdit["constants"];
    outputs: number;
  },
): string | undefined {
  if (node.opType !== "MatMul" && node.opType !== "Gemm") return undefined;
  const added = (consumers.get(node.output[0] ?? "") ?? []).filter(({ opType }) => opType === "Add");
  const candidates = node.opType === "Gemm" ? node.input.slice(2) : added.flatMap(({ input }) => input);
  const bias = candidates.find(
    (name) =>
      PARAMETER.test(name) && name.endsWith(".bias") && constants.get(name)?.dims.join() === `${outputs}`,
  );
  return bias?.slice(0, -".bias".length) ?? modulePath(node.name);
}

/** The module of a node of TorchScript's exporter: `/blocks/blocks.0/attn/qkv/MatMul` is in blocks.0.attn.qkv. */
function modulePath(name: string): string | undefined {
  if (!name.startsWith("/")) return undefined;
  const path: string[] = [];
  for (const part of name.slice(1).split("/").slice(0, -1)) {
    if (part.startsWith(`${path.at(-1)}.`)) path.pop();
    path.push(part);
  }
  return path.length > 0 && PARAMETER.test(`${path.join(".")}.weight`) ? path.join(".") : undefined;
}

/** The class and the distillation token, which have lost their names where the batch size is fixed: what is put before the patches. */
function* lostTokens(
  { graph, constants }: OnnxEdit,
  weights: NamedWeights,
): Generator<readonly [name: string, tensor: TensorProto]> {
  const positions = [...weights.keys()].find((name) =>
    /(?:^|\.)(?:pos_embed|position_embeddings)$/.test(name),
  );
  if (positions === undefined) return;
  const [, prefix = "", word] = /^(.*?)(pos_embed|position_embeddings)$/.exec(positions) ?? [];
  const names = word === "pos_embed" ? CLASS_TOKENS : (["cls_token", "distillation_token"] as const);
  if (weights.has(prefix + names[0])) return;
  const width = weights.get(positions)?.shape.at(-1);
  for (const { opType, input } of graph.node) {
    const tokens = input.flatMap((name) => constants.get(name) ?? []);
    const areTokens = tokens.every(({ dims }) => dims.join() === `1,1,${width}`);
    if (opType !== "Concat" || tokens.length === 0 || tokens.length >= input.length || !areTokens) continue;
    for (const [i, tensor] of tokens.entries()) yield [prefix + (names[i] ?? `token_${i}`), tensor];
    return;
  }
}

function merged(file: string, name: string): FormatError {
  return new FormatError(
    file,
    `has two matrices for ${name}: its exporter has merged tensors that were equal`,
    {
      code: "onnx/no-named-weights",
      hint: "So it is with models that were never trained. Give the weights that it was made from.",
    },
  );
}
