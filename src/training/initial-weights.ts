/** What a new run starts from: drawn from its seed, and taken from a checkpoint wherever names and shapes agree, or can be made to. */
import type { TrainOptions } from "../config/schema.ts";
import { CheckpointError } from "../errors.ts";
import type { Checkpoint } from "../evaluation/checkpoint.ts";
import { openCheckpoint } from "../evaluation/checkpoint.ts";
import type { Adaptation } from "../models/adapt.ts";
import { adaptation, gridOf } from "../models/adapt.ts";
import type { Model } from "../models/registry.ts";
import type { Layout, Segment } from "../nn/layout.ts";
import { initialVectors } from "../nn/layout.ts";
import { createRandom } from "../random.ts";

/** Fewer of the model's parameters than this part, and the checkpoint is another model's. */
const LEAST_SHARE = 0.5;
/** Names in a message. */
const NAMED = 6;

/** Starting values, by vector. @throws CheckpointError for weights that are not finite */
export async function initialWeights(
  {
    finetune,
    seed,
    weights,
  }: Pick<TrainOptions, "finetune" | "seed"> & Partial<Pick<TrainOptions, "weights">>,
  { model, layout }: { model: Model; layout: Layout },
): Promise<Record<string, Float32Array>> {
  const vectors = initialVectors(layout, createRandom(seed, "weights"));
  if (finetune === null) return vectors;
  await using checkpoint = await openCheckpoint(finetune, { weights: weights ?? undefined });
  const plan = planOf(checkpoint, { model, layout });
  for (const { segment, found } of plan) {
    if (found === undefined) continue;
    const data = await readFinite(checkpoint, found.source, finetune);
    vectors[segment.vector]?.set(found.convert(data), segment.offset);
  }
  return vectors;
}

/**
 * Names what is changed or starts fresh although there is a checkpoint; reads it once, and keeps nothing.
 * @throws CheckpointError when too little of it fits, or is not finite; DataError, FormatError
 */
export async function checkFinetune(
  { finetune, weights }: Pick<TrainOptions, "finetune"> & Partial<Pick<TrainOptions, "weights">>,
  {
    model,
    layout,
    warn,
    note,
  }: {
    model: Model;
    layout: Layout;
    warn: (message: string) => void;
    note: (message: string) => void;
  },
): Promise<void> {
  if (finetune === null) return;
  await using checkpoint = await openCheckpoint(finetune, { weights: weights ?? undefined });
  const plan = planOf(checkpoint, { model, layout });
  const fresh = plan.flatMap(({ segment, found }) => (found === undefined ? [segment] : []));
  const total = plan.reduce((sum, { segment: { length } }) => sum + length, 0);
  const lost = fresh.reduce((sum, { length }) => sum + length, 0);
  if (lost > (1 - LEAST_SHARE) * total) throw unlike(finetune, { checkpoint, model, fresh });
  for (const { found } of plan) if (found !== undefined) await readFinite(checkpoint, found.source, finetune);
  checkpoint.notes.forEach(warn);
  for (const { found } of plan) if (found?.note !== undefined) note(found.note);
  const used = new Set(plan.flatMap(({ segment, found }) => [segment.name, found?.source]));
  const unused = [...checkpoint.file.tensors.keys()].filter((name) => !used.has(name));
  if (unused.length > 0) note(`left out, as ${model.name} has no place for it: ${shortList(unused)}`);
  if (fresh.length > 0) note(`starts fresh: ${describe(fresh, checkpoint)}`);
}

async function readFinite({ file }: Checkpoint, name: string, finetune: string): Promise<Float32Array> {
  const { data } = await file.readFloat32(name);
  if (data.every(Number.isFinite)) return data;
  throw new CheckpointError(`${name} of ${finetune} has values that are not finite`, {
    hint: "Its training diverged, or the file is damaged: take an earlier checkpoint.",
  });
}

interface Planned {
  readonly segment: Segment;
  readonly found: Adaptation | undefined;
}

/** Where each of the model's parameters and buffers comes from. */
function planOf(
  { file, metadata }: Checkpoint,
  { model, layout }: { model: Model; layout: Layout },
): Planned[] {
  const grid = gridOf(metadata.inputSize, model);
  return model.parameters.flatMap(({ name }) => {
    const segment = layout.segments.get(name);
    if (segment === undefined) return [];
    return [{ segment, found: adaptation(segment, { model, from: file.tensors, grid }) }];
  });
}

function unlike(
  finetune: string,
  { checkpoint, model, fresh }: { checkpoint: Checkpoint; model: Model; fresh: readonly Segment[] },
): CheckpointError {
  const own = checkpoint.expectModel({ inputSize: model.config.inputSize }).name;
  const missing = fresh.filter(({ name }) => !checkpoint.file.tensors.has(name)).map(({ name }) => name);
  return new CheckpointError(
    `${finetune} is no ${model.name}; these tensors do not fit: ${describe(fresh, checkpoint)}`,
    {
      missing,
      hint: `It is a ${own}: choose that with --model.`,
    },
  );
}

function describe(segments: readonly Segment[], { file }: Checkpoint): string {
  return shortList(
    segments.map(({ name, shape }) => {
      const there = file.tensors.get(name)?.shape;
      return `${name} [${shape.join(", ")}]${there === undefined ? "" : ` (the checkpoint has [${there.join(", ")}])`}`;
    }),
  );
}

function shortList(names: readonly string[]): string {
  return names.slice(0, NAMED).join(", ") + (names.length > NAMED ? ` and ${names.length - NAMED} more` : "");
}
