/** What a new run starts from: drawn from its seed, and taken from a checkpoint wherever names and shapes agree, or can be made to. */
import type { TrainOptions } from "../config/schema.ts";
import { CheckpointError } from "../errors.ts";
import { checkpointFile } from "../evaluation/load-model.ts";
import { openSafetensors } from "../formats/safetensors-file.ts";
import { sameShape, sizeOf } from "../graph/shape.ts";
import type { Model } from "../models/registry.ts";
import type { Layout, Segment } from "../nn/layout.ts";
import { initialVectors } from "../nn/layout.ts";
import { createRandom } from "../random.ts";

/** Fewer of the model's parameters than this part, and the checkpoint is another model's. */
const LEAST_SHARE = 0.5;
/** Names in a message. */
const NAMED = 6;

/** Starting values, by vector. */
export async function initialWeights(
  { finetune, seed }: Pick<TrainOptions, "finetune" | "seed">,
  { model, layout }: { model: Model; layout: Layout },
): Promise<Record<string, Float32Array>> {
  const vectors = initialVectors(layout, createRandom(seed, "weights"));
  if (finetune === null) return vectors;
  await using file = await openSafetensors(await checkpointFile(finetune));
  for (const segment of layout.segments.values()) {
    if (!file.tensors.has(segment.name)) continue;
    const tensor = await file.readFloat32(segment.name);
    const data = fits(file.tensors, segment) ? tensor.data : model.adapt?.(segment.name, tensor);
    if (data !== undefined) vectors[segment.vector]?.set(data, segment.offset);
  }
  return vectors;
}

/**
 * Names what starts fresh although there is a checkpoint; reads no more than its header.
 * @throws CheckpointError when too little of it fits; DataError, FormatError
 */
export async function checkFinetune(
  { finetune }: Pick<TrainOptions, "finetune">,
  { model, layout, warn }: { model: Model; layout: Layout; warn: (message: string) => void },
): Promise<void> {
  if (finetune === null) return;
  await using file = await openSafetensors(await checkpointFile(finetune));
  const others = model.parameters.flatMap(({ name }) => {
    const segment = layout.segments.get(name);
    return segment === undefined || fits(file.tensors, segment) ? [] : [segment];
  });
  const isAdapted = ({ name }: Segment): boolean => {
    const shape = file.tensors.get(name)?.shape;
    return (
      shape !== undefined &&
      model.adapt?.(name, { shape, data: new Float32Array(sizeOf(shape)) }) !== undefined
    );
  };
  const adapted = others.filter(isAdapted);
  for (const { name, shape } of adapted)
    warn(
      `${name} is interpolated from [${file.tensors.get(name)?.shape.join(", ")}] to [${shape.join(", ")}]`,
    );
  const fresh = others.filter((segment) => !adapted.includes(segment));
  if (fresh.length === 0) return;
  const lines = fresh.slice(0, NAMED).map(({ name, shape }) => {
    const there = file.tensors.get(name)?.shape;
    return `${name} [${shape.join(", ")}] (${there === undefined ? "not there" : `there: [${there.join(", ")}]`})`;
  });
  const list = lines.join(", ") + (fresh.length > NAMED ? `, and ${fresh.length - NAMED} more` : "");
  const lost = fresh.reduce((total, { length }) => total + length, 0);
  if (lost > (1 - LEAST_SHARE) * layout.parameters) {
    const missing = fresh.filter(({ name }) => !file.tensors.has(name)).map(({ name }) => name);
    throw new CheckpointError(`${finetune} is no ${model.name}; these tensors do not fit: ${list}`, {
      missing,
      hint: "Choose the model that the checkpoint was made for with --model, or leave out --finetune.",
    });
  }
  warn(`these tensors start fresh, as ${finetune} does not have them in this shape: ${list}`);
}

function fits(
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  { name, shape }: Segment,
): boolean {
  const there = tensors.get(name);
  return there !== undefined && sameShape(there.shape, shape);
}
