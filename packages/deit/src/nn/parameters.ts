/**
 * The life of a parameter, and the names and shapes of timm and PyTorch through all of it:
 * born when a layer asks its scope for `blocks.0.attn.qkv.weight`, with how it starts (`collectParameters`, `initialize`);
 * put into the flat vector of its group, a segment of it (`modelLayout`), as optimizer, clipping and averages are a few
 * lines over whole vectors; cut out of that vector in a program (`bindParameters`), which trains the vectors;
 * and taken from a file into the vectors and back (`packTensors`, `unpackTensors`).
 */
import { CheckpointError, DeitError } from "../errors.ts";
import type { Value } from "../graph/graph.ts";
import { at, inScope, input } from "../graph/graph.ts";
import { concat, reshape, split } from "../graph/ops.ts";
import { sameShape, sizeOf } from "../graph/shape.ts";
import type { Random } from "../random.ts";
import { checkTensors } from "./check-tensors.ts";
import type { LoraOptions } from "./lora.ts";
import { adapted, adapters, isAdaptable, mergeAdapters } from "./lora.ts";
import type { TrainableOptions } from "./trainable.ts";
import { trainableGroups } from "./trainable.ts";

// Birth.

/** How a parameter starts. `truncNormal` is cut at ±2 (absolute), so at 100 σ for DeiT's 0.02. */
export type Initializer =
  | { readonly kind: "zeros" | "ones" }
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "normal" | "truncNormal"; readonly std: number }
  | { readonly kind: "uniform"; readonly bound: number };

export interface ParameterSpec {
  /** timm's name: `blocks.0.attn.qkv.weight`. */
  readonly name: string;
  /** PyTorch's shape. */
  readonly shape: readonly number[];
  readonly initializer: Initializer;
  /** Saved and loaded with the model, but not trained: BatchNorm's statistics. */
  readonly buffer?: true;
  /** Trained with the model, but no part of what is saved of it: a projection that learns from a teacher. */
  readonly auxiliary?: true;
}

/** A place in the tree of names: `scope.at("blocks.0").at("attn")`. */
export interface Scope {
  at(name: string): Scope;
  /** The parameter of that name below this scope. */
  parameter(name: string, shape: readonly number[], initializer: Initializer): Value;
  /** The same for a tensor that is not trained. */
  buffer(name: string, shape: readonly number[], initializer: Initializer): Value;
}

/** A scope that hands every parameter, by its full name, to `resolve`. */
export function createScope(resolve: (spec: ParameterSpec) => Value, prefix = ""): Scope {
  return {
    at: (name) => createScope(resolve, `${prefix}${name}.`),
    parameter: (name, shape, initializer) => resolve({ name: `${prefix}${name}`, shape, initializer }),
    buffer: (name, shape, initializer) =>
      resolve({ name: `${prefix}${name}`, shape, initializer, buffer: true }),
  };
}

/** The parameters that `trace` asks for, in the order of first use. */
export function collectParameters(trace: (scope: Scope) => unknown): ParameterSpec[] {
  const specs = new Map<string, ParameterSpec>();
  trace(
    createScope((spec) => {
      const known = specs.get(spec.name);
      if (known !== undefined && !sameShape(known.shape, spec.shape)) {
        throw new DeitError(
          `parameter ${spec.name} is used as [${known.shape.join(", ")}] and as [${spec.shape.join(", ")}]`,
          { code: "model/parameter-shapes" },
        );
      }
      specs.set(spec.name, spec);
      return input(spec.name, "float32", spec.shape);
    }),
  );
  return [...specs.values()];
}

/** Fills `target` (row-major) with a parameter's starting values, drawn from its own stream of `random`. */
export function initialize(target: Float32Array, { name, initializer }: ParameterSpec, random: Random): void {
  const stream = random.split(name);
  switch (initializer.kind) {
    case "zeros":
      target.fill(0);
      return;
    case "ones":
      target.fill(1);
      return;
    case "constant":
      target.fill(initializer.value);
      return;
    case "normal":
      for (let i = 0; i < target.length; i++) target[i] = stream.normal(0, initializer.std);
      return;
    case "truncNormal":
      for (let i = 0; i < target.length; i++) {
        target[i] = stream.truncNormal({ std: initializer.std, low: -2, high: 2 });
      }
      return;
    case "uniform":
      for (let i = 0; i < target.length; i++)
        target[i] = stream.uniform(-initializer.bound, initializer.bound);
  }
}

// Its group.

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

const DECAY: ParameterGroup = { name: "decay", decay: true, lrScale: 1 };
const NO_DECAY: ParameterGroup = { name: "noDecay", decay: false, lrScale: 1 };

/**
 * No decay for vectors, biases and the names that the model exempts (pos_embed, cls_token). The distillation
 * token is decayed, which its authors confirmed to be meant.
 */
export function decayGroups(exempt: readonly string[]): (spec: ParameterSpec) => ParameterGroup {
  return ({ name, shape }) =>
    shape.length <= 1 || name.endsWith(".bias") || exempt.includes(name) ? NO_DECAY : DECAY;
}

// Its place in a vector.

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

/** Where a model's parameters lie: by whether they decay, and by what is trained of them. */
export function modelLayout(
  {
    parameters,
    noWeightDecay,
  }: { readonly parameters: readonly ParameterSpec[]; readonly noWeightDecay: readonly string[] },
  options: TrainableOptions = {},
): Layout {
  const { layerDecay = 1, trainable = "all", lora } = options;
  const byDecay = decayGroups(noWeightDecay);
  const isPlain = layerDecay === 1 && trainable === "all";
  const groupOf = isPlain ? byDecay : trainableGroups(parameters, { groupOf: byDecay, ...options });
  if (trainable !== "lora" || lora === undefined) return createLayout(parameters, { groupOf });
  const specs = parameters.flatMap((spec) => (isAdaptable(spec) ? [spec, ...adapters(spec, lora)] : [spec]));
  return createLayout(specs, { groupOf, lora });
}

// In a program.

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

// In vectors, and in files.

/** Tensors by name, row-major, as a checkpoint holds them. */
export type Tensors = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/** Flat vectors by name. */
export type Vectors = Readonly<Record<string, Float32Array>>;

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

/**
 * Vectors → the model's tensors by name: views into the vectors, but for weights that adapters are merged into.
 * @throws CheckpointError naming vectors that are missing, or that are none of the layout's
 */
export function unpackTensors(
  layout: Layout,
  vectors: Vectors,
): Map<string, { shape: readonly number[]; data: Float32Array }> {
  const known = new Set(layout.vectors.map(({ name }) => name));
  const unexpected = Object.keys(vectors).filter((name) => !known.has(name));
  if (unexpected.length > 0) {
    throw new CheckpointError(
      `the layout has no vectors ${unexpected.join(", ")}; it has ${[...known].join(", ")}`,
      { code: "checkpoint/wrong-tensors", unexpected },
    );
  }
  const tensors = new Map(
    [...layout.segments.values()].flatMap(({ name, shape, vector, offset, length, auxiliary }) => {
      if (auxiliary) return [];
      const data = vectors[vector];
      if (data === undefined)
        throw new CheckpointError(`there is no vector ${vector}`, {
          code: "checkpoint/wrong-tensors",
          missing: [vector],
        });
      return [[name, { shape, data: data.subarray(offset, offset + length) }] as const];
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
