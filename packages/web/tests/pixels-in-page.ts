/** What the page does with an image, for a test that asks it in a browser: decoded, and as the model sees it. */
import { createRandom, createTransform, evaluationTransform, writePlanar } from "deit-ts/web";
import type { Preprocessing } from "deit-ts/web";
import { decode } from "../src/engine/decode.ts";

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** RGB, [height, width, 3]. */
  readonly data: readonly number[];
  /** [3, 32, 32]. */
  readonly seen: readonly number[];
}

const PREPROCESSING: Preprocessing = {
  inputSize: [32, 32],
  resize: "shorter-side",
  cropRatio: 0.875,
  interpolation: "bicubic",
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  smallWhole: true,
};

/** Of an image that is decoded: what the model sees. */
export function seenOf(image: { width: number; height: number; data: Uint8Array }): Uint8Array {
  const transform = createTransform(evaluationTransform(PREPROCESSING));
  const planes = new Uint8Array(3 * 32 * 32);
  writePlanar(transform.apply(image, transform.draw(createRandom(0), image.width, image.height)), planes);
  return planes;
}

export async function pixelsOf(bytes: readonly number[], type: string): Promise<Pixels> {
  const { image } = await decode(new Blob([Uint8Array.from(bytes)], { type }), "image");
  const { width, height, data } = image;
  return { width, height, data: [...data], seen: [...seenOf(image)] };
}

Object.assign(globalThis, { pixelsOf });
