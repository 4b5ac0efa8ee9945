/**
 * Which tensor of its model each constant of an ONNX file of ours is. Such a file is written to be fast: normalisations are
 * folded into the layers after them, biases that change nothing are gone. What is read back is the same function in other
 * tensors: normalisations of 1 and 0, keys and values without biases.
 */
import { FormatError } from "../errors.ts";
import type { NodeProto, TensorProto } from "../graph/generated/onnx_pb.ts";
import { dimsOf } from "./onnx-names.ts";
import type { NamedWeight, NamedWeights } from "./onnx-names.ts";
import type { OnnxEdit } from "./onnx-edit.ts";

/** What a user should know of such tensors. */
export const FOLDED_NOTE =
  "the file's normalisations were folded into the layers after them: the same model, but not the tensors that were trained";

interface Linear {
  readonly weight: TensorProto;
  readonly bias: TensorProto | undefined;
}

/** Whether a file is one of `deit export`'s. */
export const isOurs = ({ model }: OnnxEdit): boolean => model.producerName === "deit-ts";

/** @throws FormatError for a model that is not a DeiT: a convnet's normalisations cannot be had back */
export function ownWeights(edit: OnnxEdit, file: string): NamedWeights {
  const { linears, tokens, positions, norm, factors, isAveraged } = survey(edit);
  const [patches] = linears.get("patch_embed") ?? [];
  if (patches === undefined || positions === undefined || norm.length !== 2) throw noDeit(file);
  const width = dimsOf(patches.weight)[0] ?? 0;
  const patch = Math.sqrt((dimsOf(patches.weight)[1] ?? 0) / 3);
  const weights = new Map<string, NamedWeight>();
  const put = (name: string, part: TensorProto | undefined, shape = part && dimsOf(part)): void => {
    if (part === undefined || shape === undefined) throw noDeit(file);
    weights.set(name, { shape, parts: [part] });
  };
  const fill = (name: string, value: number): unknown =>
    weights.set(name, { shape: [width], parts: [{ fill: value, length: width }] });
  const putLinear = (name: string, linear: Linear | undefined): void => {
    put(`${name}.weight`, linear?.weight);
    put(`${name}.bias`, linear?.bias);
  };

  const registers = tokens.filter((token) => (dimsOf(token)[0] ?? 1) > 1);
  const single = tokens.filter((token) => !registers.includes(token));
  for (const [i, token] of single.entries()) put(["cls_token", "dist_token"][i] ?? "token", token);
  for (const token of registers) put("reg_token", token, [1, dimsOf(token)[0] ?? 0, width]);
  put("pos_embed", positions, [1, dimsOf(positions)[0] ?? 0, width]);
  put("patch_embed.proj.weight", patches.weight, [width, 3, patch, patch]);
  put("patch_embed.proj.bias", patches.bias);
  for (let i = 0; linears.has(`blocks.${i}/attn`); i++) {
    const [query, key, value, proj, ...rest] = linears.get(`blocks.${i}/attn`) ?? [];
    const [fc1, fc2] = linears.get(`blocks.${i}/mlp`) ?? [];
    if (query?.bias === undefined || key === undefined || value === undefined || rest.length > 0)
      throw noDeit(file);
    for (const name of ["norm1", "norm2"]) {
      fill(`blocks.${i}.${name}.weight`, 1);
      fill(`blocks.${i}.${name}.bias`, 0);
    }
    const stacked = [query, key, value].map(({ weight }) => weight);
    weights.set(`blocks.${i}.attn.qkv.weight`, { shape: [3 * width, width], parts: stacked });
    const biases = [query.bias, { fill: 0, length: 2 * width }];
    weights.set(`blocks.${i}.attn.qkv.bias`, { shape: [3 * width], parts: biases });
    putLinear(`blocks.${i}.attn.proj`, proj);
    putLinear(`blocks.${i}.mlp.fc1`, fc1);
    putLinear(`blocks.${i}.mlp.fc2`, fc2);
  }
  for (const [name, factor] of factors) put(`${name}.gamma`, factor);
  const last = isAveraged ? "fc_norm" : "norm";
  put(`${last}.weight`, norm[0]);
  put(`${last}.bias`, norm[1]);
  for (const [i, head] of (linears.get("") ?? []).entries()) putLinear(["head", "head_dist"][i] ?? "", head);
  return weights;
}

/** What the graph is made of, in its order. The scope of a node is its part of the model. */
function survey({ graph, constants }: OnnxEdit): {
  readonly linears: ReadonlyMap<string, readonly Linear[]>;
  readonly tokens: readonly TensorProto[];
  readonly positions: TensorProto | undefined;
  /** γ and β of the last normalisation. */
  readonly norm: readonly TensorProto[];
  /** Of LayerScale, by the layer's name: blocks.0.ls1. */
  readonly factors: ReadonlyMap<string, TensorProto>;
  /** Whether the mean of the patches is what the head reads. */
  readonly isAveraged: boolean;
} {
  const linears = new Map<string, { weight: TensorProto; bias: TensorProto | undefined }[]>();
  const tokens: TensorProto[] = [];
  const norm: TensorProto[] = [];
  const factors = new Map<string, TensorProto>();
  let positions: TensorProto | undefined;
  let isAveraged = false;
  for (const node of graph.node) {
    const scope = scopeOf(node);
    isAveraged ||= scope === "" && node.opType === "ReduceMean";
    const [tensor] = node.input.flatMap((name) => constants.get(name) ?? []);
    if (tensor === undefined) continue;
    const rank = tensor.dims.length;
    if (node.opType === "Gemm") {
      const linear = { weight: tensor, bias: constants.get(node.input[2] ?? "") };
      linears.set(scope, [...(linears.get(scope) ?? []), linear]);
    } else if (node.opType === "Add" && rank === 1 && scope !== "") {
      const last = linears.get(scope)?.at(-1); // queries' bias, added after the rows are grouped
      if (last !== undefined) last.bias ??= tensor;
    } else if (node.opType === "Mul" && rank === 1 && /^blocks\.\d+\/ls[12]$/.test(scope)) {
      factors.set(scope.replace("/", "."), tensor);
    } else if (scope === "" && node.opType === "Expand" && rank === 3) {
      tokens.push(tensor);
    } else if (scope === "" && node.opType === "Add" && rank === 3) {
      positions ??= tensor;
    } else if (scope === "" && (node.opType === "Mul" || node.opType === "Add") && rank === 1) {
      if (tensor.dims.join() === positions?.dims.at(-1)?.toString()) norm.push(tensor);
    }
  }
  return { linears, tokens, positions, norm, factors, isAveraged };
}

function scopeOf({ name }: NodeProto): string {
  return name.slice(0, Math.max(name.lastIndexOf("/"), 0));
}

function noDeit(file: string): FormatError {
  return new FormatError(file, "is an exported model whose tensors cannot be recovered: it is not a DeiT", {
    code: "onnx/no-named-weights",
    hint: "A convnet's normalisations are part of its convolutions after export. Give the weights that it was made from.",
  });
}
