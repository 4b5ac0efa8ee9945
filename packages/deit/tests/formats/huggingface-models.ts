/** Tensors in memory as an open file, and the outputs of a model with them, for the tests of weights of others. */
import { evaluate } from "../../src/graph/interpreter.ts";
import { input } from "../../src/graph/graph.ts";
import type { Value } from "../../src/graph/graph.ts";
import { fromFloat32, toFloat32 } from "../../src/formats/safetensors.ts";
import type { FloatTensor, Tensor } from "../../src/formats/safetensors.ts";
import type { TensorFile } from "../../src/formats/tensor-source.ts";
import { FormatError } from "../../src/errors.ts";
import { jointLogits } from "../../src/models/heads.ts";
import type { VisionTransformer } from "../../src/models/vision-transformer.ts";
import { evaluationContext } from "../../src/nn/context.ts";
import { createScope } from "../../src/nn/parameters.ts";
import { seededImages, seededTensor } from "../helpers/seeded.ts";

/** `reads` counts by name; `closed` tells whether the file was closed. */
export interface MemoryFile extends TensorFile {
  readonly reads: Map<string, number>;
  readonly closed: () => boolean;
}

export function memoryFile(stored: ReadonlyMap<string, Tensor>, path = "memory"): MemoryFile {
  const reads = new Map<string, number>();
  let closed = false;
  const read = (name: string): Promise<Tensor> => {
    const tensor = stored.get(name);
    if (tensor === undefined)
      throw new FormatError(path, `has no tensor ${name}`, { code: "checkpoint/no-tensors" });
    reads.set(name, (reads.get(name) ?? 0) + 1);
    return Promise.resolve({ ...tensor, data: tensor.data.slice() });
  };
  const close = (): Promise<void> => {
    closed = true;
    return Promise.resolve();
  };
  return {
    path,
    metadata: {},
    tensors: new Map([...stored].map(([name, { dtype, shape }]) => [name, { dtype, shape }])),
    read,
    async readFloat32(name) {
      const tensor = await read(name);
      return { shape: tensor.shape, data: toFloat32(tensor) };
    },
    close,
    [Symbol.asyncDispose]: close,
    reads,
    closed: () => closed,
  };
}

export function storedTensors(tensors: ReadonlyMap<string, FloatTensor>): Map<string, Tensor> {
  return new Map([...tensors].map(([name, tensor]) => [name, fromFloat32(tensor)]));
}

/** Zeros by name. */
export function zeros(shapes: Readonly<Record<string, readonly number[]>>): Map<string, Tensor> {
  return storedTensors(
    new Map(
      Object.entries(shapes).map(([name, shape]) => [
        name,
        { shape, data: new Float32Array(shape.reduce((size, dim) => size * dim, 1)) },
      ]),
    ),
  );
}

export async function readAll(file: TensorFile): Promise<Map<string, FloatTensor>> {
  const tensors = new Map<string, FloatTensor>();
  for (const name of file.tensors.keys()) tensors.set(name, await file.readFloat32(name));
  return tensors;
}

/** Of two seeded images, computed by the oracle: logits of the heads and their mean, and the class token after the last normalisation. */
export function outputs(
  model: VisionTransformer,
  tensors: ReadonlyMap<string, FloatTensor>,
): Record<"class" | "distillation" | "logits" | "token", Float64Array> {
  const { inputSize, embedDim } = model.config;
  const scope = createScope(({ name, shape }) => input(name, "float32", shape));
  const images = input("images", "float32", [2, 3, ...inputSize]);
  let tokens: Value | undefined;
  const heads = model.forward(images, scope, {
    ...evaluationContext(),
    record: (name, value) => {
      if (name === "tokens") tokens = value;
    },
  });
  if (tokens === undefined) throw new Error("the model records no tokens");
  const feeds = {
    images: seededTensor("images", 2 * 3 * inputSize[0] * inputSize[1], seededImages),
    ...Object.fromEntries(model.parameters.map(({ name }) => [name, tensors.get(name)?.data ?? []])),
  };
  const [own, joint, distillation = new Float64Array(), token] = evaluate(
    [heads.class, jointLogits(heads), heads.distillation ?? heads.class, tokens],
    feeds,
  );
  if (own === undefined || joint === undefined || token === undefined) throw new Error("unreachable");
  return { class: own, logits: joint, distillation, token: token.slice(0, 2 * embedDim) };
}

/** The largest difference; NaN for another number of values. */
export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.NaN;
  return Array.from(expected).reduce(
    (most, x, i) => Math.max(most, Math.abs(x - (actual[i] ?? Number.NaN))),
    0,
  );
}
