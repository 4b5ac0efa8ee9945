/**
 * The layout of parameters in flat vectors. Every parameter group (its weight decay, its learning-rate scale)
 * is one float32 vector, so optimizer, clipping, EMA and checkpoint are a few lines over whole vectors; a group
 * larger than a device's buffer limit is cut into several. The layout ties timm's names to places in them.
 */
import { CheckpointError } from "../errors.ts";
import type { Value } from "../graph/graph.ts";
import { at, inScope, input } from "../graph/graph.ts";
import { concat, reshape, split } from "../graph/ops.ts";
import { sizeOf } from "../graph/shape.ts";
import type { LoraOptions } from "./lora.ts";
import { adapted, mergeAdapters } from "./lora.ts";
import type { Random } from "../random.ts";
import type { ParameterSpec, Scope } from "./parameters.ts";
import { createScope, initialize } from "./parameters.ts";

/** What an optimizer does differently for some parameters. */
export interface ParameterGroup {
  readonly name: string;
  /** Whether weight decay applies. */
  readonly decay: boolean;
  /** Factor of the learning rate. */
  readonly lrScale: number;
  /** Not trained: no gradient, no optimizer. */
  readonly frozen?: true;
}

/** Where buffers lie, whatever group their like would be in. */
const BUFFERS: ParameterGroup = { name: "buffers", decay: false, lrScale: 0, frozen: true };

/** A parameter's place: `length` elements of vector `vector` from `offset`. */
export interface Segment extends ParameterSpec {
  readonly vector: string;
  readonly offset: number;
  readonly length: number;
}

/** One flat vector: all parameters of a group, or as many as fit. */
export interface ParameterVector {
  readonly name: string;
  readonly length: number;
  readonly group: ParameterGroup;
  readonly segments: readonly Segment[];
}

export interface Layout {
  readonly vectors: readonly ParameterVector[];
  readonly segments: ReadonlyMap<string, Segment>;
  /** Number of trained parameters; frozen ones and buffers are none. */
  readonly parameters: number;
  /** Set when some weights have low-rank adapters among the parameters. */
  readonly lora?: LoraOptions | undefined;
}

/** Tensors by name, row-major, as a checkpoint holds them. */
export type Tensors = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/** Flat vectors by name. */
export type Vectors = Readonly<Record<string, Float32Array>>;

/** Places parameters, in their order, in one vector a group. `maxLength` is in elements. */
export function createLayout(
  specs: readonly ParameterSpec[],
  {
    groupOf,
    maxLength = Number.POSITIVE_INFINITY,
    lora,
  }: { groupOf: (spec: ParameterSpec) => ParameterGroup; maxLength?: number; lora?: LoraOptions | undefined },
): Layout {
  const open = new Map<
    string,
    { name: string; group: ParameterGroup; length: number; segments: Segment[] }
  >();
  const vectors: { name: string; group: ParameterGroup; length: number; segments: Segment[] }[] = [];
  for (const spec of specs) {
    const group = spec.buffer ? BUFFERS : groupOf(spec);
    const length = sizeOf(spec.shape);
    let vector = open.get(group.name);
    if (vector === undefined || (vector.length > 0 && vector.length + length > maxLength)) {
      const parts = vectors.filter((other) => other.group.name === group.name).length;
      vector = { name: parts === 0 ? group.name : `${group.name}.${parts}`, group, length: 0, segments: [] };
      open.set(group.name, vector);
      vectors.push(vector);
    }
    vector.segments.push({ ...spec, vector: vector.name, offset: vector.length, length });
    vector.length += length;
  }
  const segments = vectors.flatMap((vector) => vector.segments);
  return {
    vectors,
    segments: new Map(segments.map((segment) => [segment.name, segment])),
    parameters: vectors.reduce((total, { group, length }) => total + (group.frozen ? 0 : length), 0),
    ...(lora && { lora }),
  };
}

/** The vectors that an optimizer works on. */
export function trainedVectors({ vectors }: Layout): ParameterVector[] {
  return vectors.filter(({ group }) => !group.frozen);
}

/** The vectors that no optimizer works on: frozen parameters, and buffers, which follow the data. */
export function frozenVectors({ vectors }: Layout): ParameterVector[] {
  return vectors.filter(({ group }) => group.frozen);
}

/** The vectors that change in training: those of an optimizer, and those that have buffers. */
export function movingVectors({ vectors }: Layout): ParameterVector[] {
  return vectors.filter(({ group, segments }) => !group.frozen || segments.some(({ buffer }) => buffer));
}

/**
 * A frozen vector after a forward pass that gave new values to some of its buffers; itself when it gave none.
 * `values`: by parameter name.
 */
export function nextVector(
  { segments }: ParameterVector,
  {
    weight,
    values,
    updates,
  }: { weight: Value; values: ReadonlyMap<string, Value>; updates: ReadonlyMap<Value, Value> },
): Value {
  if (!segments.some(({ name }) => updates.has(values.get(name) ?? unbound(name)))) return weight;
  const pieces = segments.map(({ name, length }) => {
    const value = values.get(name) ?? unbound(name);
    return reshape(updates.get(value) ?? value, [length]);
  });
  return concat(pieces, 0);
}

function unbound(name: string): never {
  throw new CheckpointError(`no value for ${name}`, { code: "checkpoint/wrong-tensors", missing: [name] });
}

/** State inputs `<slot>.<vector>` and the scope that reads parameters out of them; W holds the trained weights. */
export function bindParameters(
  layout: Layout,
  slot = "W",
): {
  /** The vectors. */
  readonly weights: Readonly<Record<string, Value>>;
  readonly scope: Scope;
  /** What the scope gives, by parameter name. */
  readonly values: ReadonlyMap<string, Value>;
} {
  const weights: Record<string, Value> = {};
  const values = new Map<string, Value>();
  for (const { name, length, segments } of layout.vectors) {
    const vector = input(`${slot}.${name}`, "float32", [length]);
    weights[name] = vector;
    inScope("parameters", () => {
      const pieces = split(
        vector,
        segments.map((segment) => segment.length),
        0,
      );
      for (const [i, segment] of segments.entries())
        values.set(segment.name, reshape(at(pieces, i), segment.shape));
    });
  }
  const scope = createScope(({ name }) => {
    const value = values.get(name);
    if (value === undefined)
      throw new CheckpointError(`the layout has no parameter ${name}`, {
        code: "checkpoint/wrong-tensors",
        missing: [name],
      });
    return layout.lora ? adapted(value, name, (other) => values.get(other), layout.lora) : value;
  });
  return { weights, scope, values };
}

/** Starting values, the same for a seed whatever the layout. */
export function initialVectors(layout: Layout, random: Random): Record<string, Float32Array> {
  return fillVectors(layout, (target, segment) => initialize(target, segment, random));
}

/** Vectors of zeros: optimizer moments, accumulated gradients. */
export function zeroVectors(layout: Layout): Record<string, Float32Array> {
  return fillVectors(layout, () => {});
}

/**
 * Tensors by name → vectors. @throws CheckpointError naming missing and unexpected tensors and unequal shapes.
 */
export function packTensors(layout: Layout, tensors: Tensors): Record<string, Float32Array> {
  checkTensors(layout, tensors);
  return fillVectors(layout, (target, { name }) => target.set(tensors.get(name)?.data ?? []));
}

/** Vectors → the model's tensors by name: views into the vectors, but for weights that adapters are merged into. */
export function unpackTensors(
  layout: Layout,
  vectors: Vectors,
): Map<string, { shape: readonly number[]; data: Float32Array }> {
  const tensors = new Map(
    [...layout.segments.values()].map(({ name, shape, vector, offset, length }) => {
      const data = vectors[vector];
      if (data === undefined)
        throw new CheckpointError(`there is no vector ${vector}`, {
          code: "checkpoint/wrong-tensors",
          missing: [vector],
        });
      return [name, { shape, data: data.subarray(offset, offset + length) }];
    }),
  );
  return layout.lora ? mergeAdapters(tensors, layout.lora) : tensors;
}

function fillVectors(
  layout: Layout,
  fill: (target: Float32Array, segment: Segment) => void,
): Record<string, Float32Array> {
  return Object.fromEntries(
    layout.vectors.map(({ name, length, segments }) => {
      const data = new Float32Array(length);
      for (const segment of segments)
        fill(data.subarray(segment.offset, segment.offset + segment.length), segment);
      return [name, data];
    }),
  );
}

/** PyTorch's BatchNorm counts its batches; nothing depends on it. */
const IGNORED = ".num_batches_tracked";

/** Compares a checkpoint with a layout. @throws CheckpointError */
export function checkTensors(layout: Layout, tensors: Tensors): void {
  const missing = [...layout.segments.keys()].filter((name) => !tensors.has(name));
  const unexpected = [...tensors.keys()].filter(
    (name) => !layout.segments.has(name) && !name.endsWith(IGNORED),
  );
  const mismatched = [...tensors].flatMap(([name, { shape }]) => {
    const expected = layout.segments.get(name)?.shape;
    return expected !== undefined && expected.join() !== shape.join()
      ? [`${name}: got [${shape.join(", ")}], expected [${expected.join(", ")}]`]
      : [];
  });
  if (missing.length + unexpected.length + mismatched.length === 0) return;
  const lines = [
    missing.length > 0 ? `missing: ${shortList(missing)}` : "",
    unexpected.length > 0 ? `unexpected: ${shortList(unexpected)}` : "",
    mismatched.length > 0 ? `of another shape: ${shortList(mismatched)}` : "",
  ].filter((line) => line !== "");
  throw new CheckpointError(`the checkpoint does not fit the model\n  ${lines.join("\n  ")}`, {
    code: "checkpoint/wrong-tensors",
    missing,
    unexpected,
  });
}

function shortList(names: readonly string[]): string {
  const shown = names.slice(0, 5).join("; ");
  return names.length > 5 ? `${shown}; and ${names.length - 5} more` : shown;
}
