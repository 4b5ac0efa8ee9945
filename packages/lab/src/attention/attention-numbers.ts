/** What attention maps are in numbers: the maps themselves, and of each head where its attention goes and how wide it is spread. */
import type { AttentionSource, ImageAttention } from "./attention.ts";
import type { Selection } from "./attention-selection.ts";
import { chosen } from "./attention-selection.ts";
import type { TokenName } from "deit-ts/models";

/** One head of one layer, from 1. */
export interface HeadNumbers {
  readonly layer: number;
  readonly head: number;
  /** Parts of the attention: to each token, to all patches; 1 together. */
  readonly to: Readonly<Partial<Record<TokenName, number>>> & { readonly patches: number };
  /** Of the attention among the patches: in nats, and e to it, the number of patches that it would be spread over evenly. */
  readonly entropy: number;
  readonly effectivePatches: number;
  /** The map, row by row, and the attention to the tokens before the patches. */
  readonly patches: readonly number[];
  readonly tokens: readonly number[];
}

export interface ImageNumbers extends Pick<ImageAttention, "image" | "seen"> {
  readonly width: number;
  readonly height: number;
  readonly tokens: readonly {
    readonly token: TokenName;
    readonly prediction: ImageAttention["tokens"][number]["prediction"];
    readonly rollout: { readonly patches: readonly number[]; readonly tokens: readonly number[] };
    readonly heads: readonly HeadNumbers[];
  }[];
}

/** Seven digits are what float32 has. */
const DIGITS = 7;

/** Of the selected layers and heads. */
export function attentionNumbers(
  { image, pixels, seen, tokens }: ImageAttention,
  source: AttentionSource,
  selection: Selection,
): ImageNumbers {
  const wanted = chosen(source, selection);
  return {
    image,
    width: pixels.width,
    height: pixels.height,
    seen,
    tokens: tokens.map(({ token, prediction, heads, toTokens, rollout, rolloutToTokens }) => ({
      token,
      prediction,
      rollout: { patches: Array.from(rollout, short), tokens: Array.from(rolloutToTokens, short) },
      heads: heads
        .flatMap((maps, layer) => maps.map((map, head) => ({ layer: layer + 1, head: head + 1, map })))
        .filter(({ layer, head }) => wanted.layers.includes(layer) && wanted.heads.includes(head))
        .map(({ layer, head, map }) => ({
          layer,
          head,
          ...spreadOf(map, toTokens[layer - 1]?.[head - 1] ?? new Float32Array(), source),
        })),
    })),
  };
}

function spreadOf(
  map: Float32Array,
  toTokens: Float32Array,
  { tokens }: Pick<AttentionSource, "tokens">,
): Omit<HeadNumbers, "layer" | "head"> {
  const sum = map.reduce((total, value) => total + value, 0);
  const entropy = map.reduce(
    (total, value) => (value > 0 ? total - (value / sum) * Math.log(value / sum) : total),
    0,
  );
  return {
    to: {
      ...Object.fromEntries(tokens.map((name, i) => [name, short(toTokens[i] ?? 0)])),
      patches: short(sum),
    },
    entropy: short(entropy),
    effectivePatches: short(Math.exp(entropy)),
    patches: Array.from(map, short),
    tokens: Array.from(toTokens, short),
  };
}

function short(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

/** The head of the table, a row for each head of each layer. */
export const NUMBERS_HEAD: readonly string[] = [
  "image",
  "token",
  "answer",
  "score",
  "layer",
  "head",
  "to_class",
  "to_distillation",
  "to_patches",
  "entropy",
  "effective_patches",
];

export function numbersRows({ image, tokens }: ImageNumbers): (string | number)[][] {
  return tokens.flatMap(({ token, prediction, heads }) =>
    heads.map(({ layer, head, to, entropy, effectivePatches }) => [
      image,
      token,
      prediction.label,
      prediction.score,
      layer,
      head,
      to.class ?? "",
      to.distillation ?? "",
      to.patches,
      entropy,
      effectivePatches,
    ]),
  );
}
