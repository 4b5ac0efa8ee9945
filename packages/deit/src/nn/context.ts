/**
 * How a forward pass is to run: for training or evaluation, where its randomness comes from, and which
 * intermediate results to keep. Always an argument, never hidden state.
 */
import type { TensorType, Value } from "../graph/graph.ts";
import { input } from "../graph/graph.ts";
import { cast, mul, reshape, slice } from "../graph/ops.ts";
import { dimAt, sizeOf } from "../graph/shape.ts";
import type { Random } from "../random.ts";

export interface ForwardContext {
  readonly training: boolean;
  /**
   * Stochastic depth (Huang et al. 2016): drops a residual branch for whole samples. x: [N, B, D], tokens
   * first, or [B, C, H, W]. `branch` is the row of the mask. The identity in evaluation.
   */
  dropPath(x: Value, branch: number): Value;
  /** Dropout (Srivastava et al. 2014) of single elements. `site` names the place. The identity in evaluation. */
  dropout(x: Value, site: string): Value;
  /** Dropout of attention's probabilities, which has a rate of its own: factors of this shape; undefined where there is none. */
  attentionFactors(shape: readonly number[], site: string): Value | undefined;
  /** Keeps an intermediate result under a name like `blocks.0.attn`. */
  record(name: string, value: Value): void;
  /**
   * Notes a part of the model that is a function of x and parameters alone, a block, by its ends. Training may then
   * compute it twice instead of keeping what lies inside (--recompute).
   */
  noteSegment(x: Value, y: Value): void;
  /** What a buffer becomes after this pass, given as the scope gave it; nothing in evaluation. */
  updateBuffer(buffer: Value, next: Value): void;
}

/** Evaluation; `records`, when given, receives the intermediate results. */
export function evaluationContext(records?: Map<string, Value>): ForwardContext {
  return {
    training: false,
    dropPath: (x) => x,
    dropout: (x) => x,
    attentionFactors: () => undefined,
    record: (name, value) => void records?.set(name, value),
    noteSegment: () => {},
    updateBuffer: () => {},
  };
}

/** Name of the program input that holds the stochastic-depth mask. */
export const DROP_PATH_INPUT = "dropPathMask";

/** Names of dropout's inputs begin so; the names of attention's end in `.attn`. */
const DROPOUT_INPUT = "dropout.";
const ATTENTION_SITE = ".attn";

export interface TrainingContextOptions {
  readonly batchSize: number;
  /** Stochastic depth's rate of every residual branch. */
  readonly dropPathRates: readonly number[];
  /** Dropout's rate. */
  readonly drop?: number;
  /** Dropout's rate for attention's probabilities. */
  readonly attnDrop?: number;
  /** Receives what buffers become, by the values that they are. */
  readonly bufferUpdates?: Map<Value, Value>;
}

/**
 * Training. Unless all `dropPathRates` are 0 the program gets an input `dropPathMask` [branches, B] that holds 0
 * (dropped) or 1 / (1 − rate) (kept): see `dropPathMask`. Every place with dropout gets an input `dropout.<site>`
 * of the place's shape, bytes that hold 0 (dropped) or 1. `drawMasks` fills them all.
 */
export function trainingContext({
  batchSize,
  dropPathRates,
  drop = 0,
  attnDrop = 0,
  bufferUpdates,
}: TrainingContextOptions): ForwardContext {
  const mask = dropPathRates.some((rate) => rate > 0)
    ? input(DROP_PATH_INPUT, "float32", [dropPathRates.length, batchSize])
    : undefined;
  return {
    training: true,
    dropPath: (x, branch) => {
      if (mask === undefined || (dropPathRates[branch] ?? 0) === 0) return x;
      const row = slice(mask, { axis: 0, start: branch, end: branch + 1 });
      // tokens first: [N, B, D] · [B, 1]; images: [B, C, H, W] · [B, 1, 1, 1]
      return mul(x, reshape(row, x.shape.length === 4 ? [batchSize, 1, 1, 1] : [batchSize, 1]));
    },
    dropout: (x, site) => (drop === 0 ? x : mul(x, dropoutFactors(x.shape, { site, rate: drop }))),
    attentionFactors: (shape, site) =>
      attnDrop === 0 ? undefined : dropoutFactors(shape, { site: site + ATTENTION_SITE, rate: attnDrop }),
    record: () => {},
    noteSegment: () => {},
    updateBuffer: (buffer, next) => void bufferUpdates?.set(buffer, next),
  };
}

/** 0 for what is dropped. Kept elements are divided by their share, so that the expectation stays. */
function dropoutFactors(shape: readonly number[], { site, rate }: { site: string; rate: number }): Value {
  const kept = input(DROPOUT_INPUT + site, "uint8", shape);
  return mul(cast(kept, "float32"), 1 / (1 - rate));
}

/** Whether an input of a program is a dropout mask, which is drawn for the shape that the program gives it. */
export function isDropoutMask(inputName: string): boolean {
  return inputName.startsWith(DROPOUT_INPUT);
}

/** The masks that a program of `trainingContext` wants. Every mask has a stream of its own, by its name. */
export function drawMasks(
  inputs: Readonly<Record<string, TensorType>>,
  {
    random,
    dropPathRates,
    drop,
    attnDrop,
  }: { random: Random; dropPathRates: readonly number[]; drop: number; attnDrop: number },
): Record<string, Float32Array | Uint8Array> {
  const masks: Record<string, Float32Array | Uint8Array> = {};
  for (const [name, { shape }] of Object.entries(inputs)) {
    if (name === DROP_PATH_INPUT) {
      const stream = random.split(name);
      masks[name] = dropPathMask(dropPathRates, dimAt(shape, 1), () => stream.uniform());
    } else if (isDropoutMask(name)) {
      const rate = name.endsWith(ATTENTION_SITE) ? attnDrop : drop;
      masks[name] = dropoutMask(sizeOf(shape), rate, random.split(name));
    }
  }
  return masks;
}

/**
 * 1 for kept and 0 for dropped elements, each dropped with probability `rate`. What is drawn are the distances between
 * dropped elements (geometric, exact to a double's rounding), so that the work is that of the dropped ones alone.
 */
export function dropoutMask(length: number, rate: number, random: Random): Uint8Array {
  const mask = new Uint8Array(length).fill(1);
  if (rate === 0) return mask;
  const perLog = 1 / Math.log1p(-rate);
  const distance = (): number => 1 + Math.floor(Math.log(1 - random.uniform()) * perLog);
  for (let i = distance() - 1; i < length; i += distance()) mask[i] = 0;
  return mask;
}

/**
 * Draws a mask [branches, B] as timm's DropPath does: per sample and branch floor(keep + U[0, 1)) / keep.
 * `uniform(branch, row)` gives the draws.
 */
export function dropPathMask(
  rates: readonly number[],
  batchSize: number,
  uniform: (branch: number, row: number) => number,
): Float32Array {
  const mask = new Float32Array(rates.length * batchSize);
  for (const [branch, rate] of rates.entries()) {
    const keep = 1 - rate;
    for (let row = 0; row < batchSize; row++) {
      mask[branch * batchSize + row] = rate === 0 ? 1 : Math.floor(keep + uniform(branch, row)) / keep;
    }
  }
  return mask;
}
