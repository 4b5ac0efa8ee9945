/**
 * Where class and distillation token look in single images: the attention of each head and layer, and its rollout over
 * all layers. Numbers alone; attention-files.ts draws them. A layer's attention is [heads, N, N]: what leaves the device
 * are the two tokens' rows of it, and its heads fused to one matrix.
 */
import { ConfigError, DataError, openClassifier } from "deit-ts";
import type { OpenClassifierOptions, Prediction } from "deit-ts";
import { createTransform } from "deit-ts/data";
import type { RgbImage } from "deit-ts/data";
import { createRandom } from "deit-ts/graph";
import {
  attentionReadout,
  gridOf,
  readMaps,
  requireTransformer,
  tokenNames,
  topPredictions,
} from "deit-ts/models";
import type { HeadFusion, TokenAttention, TokenName } from "deit-ts/models";
import { firstLine, floats, readImageFile } from "deit-ts/studies";
import type { CropBox } from "./crop-box.ts";
import { cropBox } from "./crop-box.ts";

export interface AttentionOptions extends Omit<OpenClassifierOptions, "intermediates"> {
  readonly checkpoint: string;
  readonly images: readonly string[];
  /** Which tokens' attention; default all that the model has. */
  readonly token?: TokenName | "both" | undefined;
  /** How rollout makes one of the heads; default mean. */
  readonly headFusion?: HeadFusion | undefined;
  /** Smallest part of each layer's attention that rollout leaves out; default 0. */
  readonly discardRatio?: number | undefined;
}

/** One token of one image. */
export interface TokenMaps extends TokenAttention {
  /** The answer of its head. */
  readonly prediction: Prediction;
}

export interface ImageAttention {
  readonly image: string;
  readonly pixels: RgbImage;
  /** The part of the image that the model saw, over which the patches lie. */
  readonly seen: CropBox;
  readonly tokens: readonly TokenMaps[];
}

export interface AttentionSource {
  readonly model: string;
  readonly inputSize: readonly [number, number];
  /** [rows, columns] of patches. */
  readonly grid: readonly [number, number];
  readonly layers: number;
  readonly headsPerLayer: number;
  /** All tokens that the model's heads read. */
  readonly tokens: readonly TokenName[];
  /** Register tokens between these and the patches. */
  readonly registers: number;
  readonly headFusion: HeadFusion;
  readonly discardRatio: number;
}

export interface AttentionHooks {
  readonly onEvent?: ((event: AttentionEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type AttentionEvent =
  | { readonly type: "image"; readonly done: number; readonly total: number }
  | { readonly type: "warning"; readonly message: string };

/**
 * Looks at each image in turn and hands it to `take`; nothing is kept. Files that are not images are passed over with a
 * warning. @returns what all have in common
 * @throws ConfigError for convnets and tokens that the model has not, DataError naming the first file when none is an image
 */
export async function attentionMaps(
  { checkpoint, images, token, headFusion = "mean", discardRatio = 0, ...options }: AttentionOptions,
  take: (maps: ImageAttention, source: AttentionSource) => Promise<void> | void,
  { onEvent, signal }: AttentionHooks = {},
): Promise<AttentionSource> {
  await using classifier = await openClassifier(checkpoint, { ...options, intermediates: true });
  const { name, notes, labels, source: opened } = classifier;
  if ("onnx" in opened) throw new TypeError("expected a model of deit-ts");
  for (const message of notes) onEvent?.({ type: "warning", message });
  const config = requireTransformer(opened.model);
  const wanted = wantedTokens(tokenNames(config), token, name);
  const source: AttentionSource = {
    model: name,
    inputSize: config.inputSize,
    grid: gridOf(config),
    layers: config.depth,
    headsPerLayer: config.numHeads,
    tokens: tokenNames(config),
    registers: config.registers ?? 0,
    headFusion,
    discardRatio,
  };
  const readout = attentionReadout(headFusion);
  const transform = createTransform(classifier.transform);
  let [seen, refused]: [number, DataError | undefined] = [0, undefined];
  for (const [done, image] of images.entries()) {
    signal?.throwIfAborted();
    const pixels = await readImageFile(image).catch(unreadable);
    if (pixels instanceof DataError) {
      refused ??= pixels;
      if (images.length > 1) onEvent?.({ type: "warning", message: `${firstLine(pixels)}; it is left out` });
      continue;
    }
    seen++;
    for await (const { outputs } of classifier.intermediates([pixels], readout)) {
      const seenBy = readMaps(outputs, source).filter((maps) => wanted.includes(maps.token));
      const tokens = seenBy.map((maps): TokenMaps => {
        const [prediction] = topPredictions(floats(outputs, maps.token), { topk: 1, classes: labels });
        if (prediction === undefined) throw new Error(`${name} answers nothing`);
        return { ...maps, prediction };
      });
      const draw = transform.draw(createRandom(0), pixels.width, pixels.height);
      await take({ image, pixels, seen: cropBox(draw, pixels), tokens }, source);
    }
    onEvent?.({ type: "image", done: done + 1, total: images.length });
  }
  if (seen === 0 && refused !== undefined) throw refused;
  return source;
}

function unreadable(error: unknown): DataError {
  if (error instanceof DataError) return error;
  throw error;
}

/** @throws ConfigError for a distillation token that is not there */
function wantedTokens(
  has: readonly TokenName[],
  token: AttentionOptions["token"],
  model: string,
): readonly TokenName[] {
  if (token === undefined || token === "both") return has;
  if (has.includes(token)) return [token];
  throw new ConfigError("token", `${model} has no ${token} token, it is a plain model`, {
    code: "model/no-tokens",
    hint: "Leave out --token, or give a distilled model.",
  });
}
