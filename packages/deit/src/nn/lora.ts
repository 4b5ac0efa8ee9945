/**
 * Low-rank adaptation (LoRA, Hu et al. 2021, https://arxiv.org/abs/2106.09685): a frozen weight W [out, in] is used as
 * W + (α/r)·B·A with A [r, in] and B [out, r] trained in its place. B starts at zero, so the model starts as it was. The sum is
 * formed on the weights, which are small beside activations, so an adapted model is exactly the merged one.
 */
import type { Value } from "../graph/graph.ts";
import { add, matmul, mul } from "../graph/ops.ts";
import { ZEROS } from "./linear.ts";
import type { ParameterSpec } from "./parameters.ts";

export interface LoraOptions {
  readonly rank: number;
  readonly alpha: number;
}

/** What the adapters of a weight are called, after the weight's own name. */
const A = ".lora_A";
const B = ".lora_B";

/** The linear layers of transformer blocks: attention and feed-forward network. */
export function isAdaptable({ name, shape }: Pick<ParameterSpec, "name" | "shape">): boolean {
  return shape.length === 2 && /^blocks\.\d+\.(?:attn\.(?:qkv|proj)|mlp\.fc[12])\.weight$/.test(name);
}

export function isAdapter({ name }: Pick<ParameterSpec, "name">): boolean {
  return name.endsWith(A) || name.endsWith(B);
}

/** A and B of a weight. A starts uniform within ±1/√in, as PyTorch's linear layers (and PEFT) do. */
export function adapters({ name, shape }: ParameterSpec, { rank }: LoraOptions): ParameterSpec[] {
  const [out = 0, features = 0] = shape;
  return [
    {
      name: `${name}${A}`,
      shape: [rank, features],
      initializer: { kind: "uniform", bound: features ** -0.5 },
    },
    { name: `${name}${B}`, shape: [out, rank], initializer: ZEROS },
  ];
}

/** The weight that the model sees. `valueOf`: by parameter name; undefined for those that are not adapted. */
export function adapted(
  weight: Value,
  name: string,
  valueOf: (name: string) => Value | undefined,
  { rank, alpha }: LoraOptions,
): Value {
  const [a, b] = [valueOf(`${name}${A}`), valueOf(`${name}${B}`)];
  return a === undefined || b === undefined ? weight : add(weight, mul(matmul(b, a), alpha / rank));
}

/** Weights with their adapters merged into them, and without those; others as they are. */
export function mergeAdapters<T extends { readonly shape: readonly number[]; readonly data: Float32Array }>(
  tensors: ReadonlyMap<string, T>,
  { rank, alpha }: LoraOptions,
): Map<string, T> {
  const merged = [...tensors].flatMap(([name, tensor]): [string, T][] => {
    if (isAdapter({ name })) return [];
    const [a, b] = [tensors.get(`${name}${A}`)?.data, tensors.get(`${name}${B}`)?.data];
    if (a === undefined || b === undefined) return [[name, tensor]];
    const [out = 0, features = 0] = tensor.shape;
    const data = Float32Array.from(tensor.data);
    for (let o = 0; o < out; o++) {
      for (let r = 0; r < rank; r++) {
        const factor = ((b[o * rank + r] ?? 0) * alpha) / rank;
        for (let i = 0; i < features; i++)
          data[o * features + i] = (data[o * features + i] ?? 0) + factor * (a[r * features + i] ?? 0);
      }
    }
    return [[name, { ...tensor, data }]];
  });
  return new Map(merged);
}
