/**
 * Class and distillation token over images (§4): how alike they are from layer to layer, what each attends to, and how
 * far the patches look. For a plain model what its class token attends to. Images stream; sums alone are kept.
 */
import { DataError, openClassifier } from "deit-ts";
import type { Model, OpenClassifierOptions } from "deit-ts";
import { openEvaluation, takeSubset } from "deit-ts/data";
import type { EvaluationDataOptions } from "deit-ts/data";
import { requireTransformer, tokenNames } from "deit-ts/models";
import type { Tensors, TokenName } from "deit-ts/models";
import type { AnswerSettings, EvaluateHooks } from "deit-ts/studies";
import { Moments } from "./moments.ts";
import { TOKEN_STATISTICS } from "./token-statistics.ts";

export interface TokensOptions
  extends
    EvaluationDataOptions,
    AnswerSettings,
    Omit<OpenClassifierOptions, "device" | "threads" | "classes" | "intermediates"> {
  readonly checkpoint: string;
  /** That many images, drawn by the seed; default all. */
  readonly images?: number | undefined;
}

/** Over the images: the mean, and the standard deviation. */
export interface Spread {
  readonly mean: number;
  readonly deviation: number;
}

/** What one token attends to in one head of one layer; means over the images. */
export interface TokenAttention {
  /** Parts of its attention, 1 together: to itself, to the other token (0 without one), to all patches. */
  readonly self: number;
  readonly other: number;
  readonly patches: number;
  /** Of its attention among the patches: entropy in nats, and e to it, the number of patches that it would be spread over evenly. */
  readonly entropy: number;
  readonly effectivePatches: number;
  /** Standard deviation in space of the same, in pixels of the input. */
  readonly spread: number;
}

export interface HeadTokens {
  /** From 1, as `head`. */
  readonly layer: number;
  readonly head: number;
  readonly class: TokenAttention;
  readonly distillation?: TokenAttention;
  /** Part of both tokens' attention among the patches that is common: 1 where they look at the same. */
  readonly overlap?: number;
  /** How far patches look, in pixels: the ViT paper's mean attention distance. */
  readonly patchDistance: number;
}

export interface TokensResult {
  readonly model: string;
  readonly images: number;
  readonly inputSize: readonly [number, number];
  readonly layers: number;
  readonly headsPerLayer: number;
  /** Patches of an image. */
  readonly patches: number;
  /** Cosine of class and distillation token; null for a model with a class token alone. */
  readonly similarity: {
    /** Of cls_token and dist_token as learned. */
    readonly parameters: number;
    /** With the position embeddings: what the first block gets. Nothing of the image is in it. */
    readonly embedding: number;
    /** After each block. */
    readonly layers: readonly Spread[];
    /** After the final norm: what the heads see. */
    readonly final: Spread;
  } | null;
  /** Each head of each layer. */
  readonly attention: readonly HeadTokens[];
}

/** @throws ConfigError for convnets, DataError when no image can be read, and what `openClassifier` and `openEvaluation` throw */
export async function analyzeTokens(
  options: TokensOptions,
  { onEvent, signal }: EvaluateHooks = {},
): Promise<TokensResult> {
  const { checkpoint, images, batchSize = 8, workers, seed = 0 } = options;
  const warn = (message: string): void => onEvent?.({ type: "warning", message });
  await using classifier = await openClassifier(checkpoint, { ...options, intermediates: true });
  const { source, notes, classes } = classifier;
  if ("onnx" in source) throw new TypeError("expected a model of deit-ts");
  notes.forEach(warn);
  requireTransformer(source.model);
  const whole = await openEvaluation({ ...options, classes: options.classes ?? classes }, { onNote: warn });
  const dataset = images === undefined ? whole : takeSubset(whole, { rule: "sample", count: images, seed });
  const sums = new Map<string, Moments>();
  const settings = { batchSize, workers, onEvent, signal };
  for await (const batch of classifier.intermediates(dataset, TOKEN_STATISTICS, settings)) {
    const { outputs, labels, size, readable } = batch;
    for (const [name, values] of Object.entries(withPatchCounts(outputs))) {
      const width = values.length / labels.length;
      const sum = sums.get(name) ?? new Moments(width);
      sums.set(name, sum);
      for (let row = 0; row < size; row++)
        if (readable(row)) sum.add(values.subarray(row * width, (row + 1) * width));
    }
  }
  return resultOf(source, sums, options.dataPath ?? dataset.name);
}

/** The outputs to sum, with e to the entropy of each image: a mean of numbers of patches is not e to a mean entropy. */
function withPatchCounts(outputs: Readonly<Record<string, unknown>>): Record<string, Float32Array> {
  const numbers = Object.entries(outputs).filter(
    (entry): entry is [string, Float32Array] => entry[1] instanceof Float32Array,
  );
  const named = Object.fromEntries(numbers);
  return { ...named, ...(named["entropy"] && { effectivePatches: named["entropy"].map(Math.exp) }) };
}

function resultOf(
  { model, tensors }: { model: Model; tensors: Tensors },
  sums: ReadonlyMap<string, Moments>,
  path: string,
): TokensResult {
  const config = requireTransformer(model);
  const { depth, numHeads, inputSize, distilled, patchSize } = config;
  const images = sums.get("mass")?.rows ?? 0;
  if (images === 0) {
    throw new DataError(path, `${path} has no image that can be read`, {
      code: "data/no-images",
      hint: "Give images with --data-path.",
    });
  }
  const means = new Map([...sums].map(([name, { mean }]) => [name, mean]));
  const mean = (name: string, index: number): number => means.get(name)?.[index] ?? Number.NaN;
  const names = tokenNames(config);
  const tokens = names.length;
  const attention = Array.from({ length: depth * numHeads }, (_, place): HeadTokens => {
    const of = (token: number): TokenAttention => {
      const at = place * tokens + token;
      const mass = (to: number): number => mean("mass", at * (tokens + 1) + to);
      return {
        self: mass(token),
        other: distilled ? mass(1 - token) : 0,
        patches: mass(tokens),
        entropy: mean("entropy", at),
        effectivePatches: mean("effectivePatches", at),
        spread: mean("spread", at),
      };
    };
    return {
      layer: Math.floor(place / numHeads) + 1,
      head: (place % numHeads) + 1,
      class: of(0),
      ...(distilled && { distillation: of(1), overlap: mean("overlap", place) }),
      patchDistance: mean("distance", place),
    };
  });
  return {
    model: model.name,
    images,
    inputSize,
    layers: depth,
    headsPerLayer: numHeads,
    patches: (inputSize[0] / patchSize) * (inputSize[1] / patchSize),
    similarity: distilled ? similarityOf(tensors, sums.get("similarity")) : null,
    attention,
  };
}

function similarityOf(tensors: Tensors, sums: Moments | undefined): NonNullable<TokensResult["similarity"]> {
  const [mean, deviation] = [sums?.mean ?? [], sums?.deviation ?? []];
  const places = Array.from(mean, (value, i): Spread => ({ mean: value, deviation: deviation[i] ?? 0 }));
  const none = { mean: Number.NaN, deviation: Number.NaN };
  return {
    parameters: cosine(tensors.get("cls_token")?.data ?? [], tensors.get("dist_token")?.data ?? []),
    embedding: (places[0] ?? none).mean,
    layers: places.slice(1, -1),
    final: places.at(-1) ?? none,
  };
}

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] ?? 0, b[i] ?? 0];
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return dot / Math.sqrt(aa * bb);
}

/** Means over the heads of one layer, for tables and figures. */
export function layerMeans(
  { attention, headsPerLayer }: Pick<TokensResult, "attention" | "headsPerLayer">,
  pick: (head: HeadTokens) => number,
): number[] {
  const values = attention.map(pick);
  return Array.from({ length: values.length / headsPerLayer }, (_, layer) => {
    const own = values.slice(layer * headsPerLayer, (layer + 1) * headsPerLayer);
    return own.reduce((sum, value) => sum + value, 0) / headsPerLayer;
  });
}

/** The token's attention in each head, where the model has it. */
export function attentionOf(head: HeadTokens, token: TokenName): TokenAttention | undefined {
  return token === "class" ? head.class : head.distillation;
}
