/** What a new run starts from: drawn from its seed, and taken from a checkpoint wherever names and shapes agree, or can be made to. */
import { CheckpointError } from "../errors.ts";
import type { ModelMetadata } from "../formats/model-metadata.ts";
import type { FloatTensor } from "../formats/safetensors.ts";
import type { Adaptation } from "../models/adapt.ts";
import { adaptation, gridOf } from "../models/adapt.ts";
import type { Model } from "../models/registry.ts";
import type { Layout, Segment } from "../nn/parameters.ts";
import { initialVectors } from "../nn/parameters.ts";
import { createRandom } from "../random.ts";

/** Fewer of the model's parameters than this part, and the checkpoint is another model's. */
const LEAST_SHARE = 0.5;
/** Names in a message. */
const NAMED = 6;

/** Weights to start from, under timm's names: an open checkpoint, or one in memory. */
export interface WeightSource {
  /** How messages name it. */
  readonly path: string;
  readonly file: {
    readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>;
    readFloat32(name: string): Promise<FloatTensor>;
  };
  /** [height, width] of the images that it was trained on, where that is known. */
  readonly metadata: Partial<Pick<ModelMetadata, "inputSize">>;
  /** What the user should know of it. */
  readonly notes: readonly string[];
  /** What is assumed of it, where it does not say. */
  readonly assumptions?: readonly string[];
  /** The model that it is of. @throws ConfigError saying what it is instead */
  expectModel(options: { inputSize: readonly [number, number] }): Pick<Model, "name">;
}

export interface InitialWeightsOptions {
  readonly seed: number;
  /** Undefined: random weights alone. */
  readonly checkpoint?: WeightSource | undefined;
  readonly warn?: (message: string) => void;
  readonly note?: (message: string) => void;
}

/**
 * Starting values, by vector. Says what is changed or starts fresh although there is a checkpoint.
 * @throws CheckpointError when too little of it fits, or is not finite; FormatError
 */
export async function initialWeights(
  { seed, checkpoint, warn = () => {}, note = () => {} }: InitialWeightsOptions,
  { model, layout }: { model: Model; layout: Layout },
): Promise<Record<string, Float32Array>> {
  const vectors = initialVectors(layout, createRandom(seed, "weights"));
  if (checkpoint === undefined) return vectors;
  const sources = sourcesOf(checkpoint, { model, layout });
  const fresh = sources.flatMap(({ segment, found }) => (found === undefined ? [segment] : []));
  const total = sources.reduce((sum, { segment: { length } }) => sum + length, 0);
  const lost = fresh.reduce((sum, { length }) => sum + length, 0);
  if (lost > (1 - LEAST_SHARE) * total) throw unlike(checkpoint, { model, fresh });
  for (const { segment, found } of sources) {
    if (found === undefined) continue;
    const data = await readFinite(checkpoint, found.source);
    vectors[segment.vector]?.set(found.convert(data), segment.offset);
  }
  [...checkpoint.notes, ...(checkpoint.assumptions ?? [])].forEach(warn);
  for (const { found } of sources) if (found?.note !== undefined) note(found.note);
  const used = new Set(sources.flatMap(({ segment, found }) => [segment.name, found?.source]));
  const unused = [...checkpoint.file.tensors.keys()].filter((name) => !used.has(name));
  if (unused.length > 0) note(`left out, as ${model.name} has no place for it: ${shortList(unused)}`);
  if (fresh.length > 0) note(`starts fresh: ${describe(fresh, checkpoint)}`);
  return vectors;
}

async function readFinite({ path, file }: WeightSource, name: string): Promise<Float32Array> {
  const { data } = await file.readFloat32(name);
  if (data.every(Number.isFinite)) return data;
  throw new CheckpointError(`${name} of ${path} has values that are not finite`, {
    code: "checkpoint/not-finite",
    hint: "Its training diverged, or the file is damaged: take an earlier checkpoint.",
  });
}

interface Source {
  readonly segment: Segment;
  readonly found: Adaptation | undefined;
}

/** Where each of the model's parameters and buffers comes from. */
function sourcesOf(
  { file, metadata }: WeightSource,
  { model, layout }: { model: Model; layout: Layout },
): Source[] {
  const grid = gridOf(metadata.inputSize, model);
  return model.parameters.flatMap(({ name }) => {
    const segment = layout.segments.get(name);
    if (segment === undefined) return [];
    return [{ segment, found: adaptation(segment, { model, from: file.tensors, grid }) }];
  });
}

function unlike(
  checkpoint: WeightSource,
  { model, fresh }: { model: Model; fresh: readonly Segment[] },
): CheckpointError {
  const own = checkpoint.expectModel({ inputSize: model.config.inputSize }).name;
  const missing = fresh.filter(({ name }) => !checkpoint.file.tensors.has(name)).map(({ name }) => name);
  return new CheckpointError(
    `${checkpoint.path} is not a ${model.name}; these tensors do not fit: ${describe(fresh, checkpoint)}`,
    {
      code: "checkpoint/wrong-tensors",
      missing,
      hint: `It is a ${own}: choose that with --model.`,
    },
  );
}

function describe(segments: readonly Segment[], { file }: WeightSource): string {
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
