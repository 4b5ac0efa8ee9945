/** What the program makes of bytes, noise codes and mixes equals what is done by hand, pixel by pixel. */
import { describe, expect, test } from "vitest";
import { noiseValue } from "../../../src/augmentation/erasing.ts";
import { drawMixes, mixFeed, mixImages, mixTargets } from "../../../src/augmentation/mixup.ts";
import type { Mix } from "../../../src/augmentation/mixup.ts";
import { IMAGENET_NORMALISATION } from "../../../src/augmentation/normalisation.ts";
import { readPlanar } from "../../../src/augmentation/rgb-image.ts";
import type { DType, Value } from "../../../src/graph/graph.ts";
import { input } from "../../../src/graph/graph.ts";
import { compile } from "../../../src/graph/program.ts";
import { createRandom } from "../../../src/random.ts";
import type { Executable } from "../../../src/runtime/runtime.ts";
import { preparePixels } from "../../../src/training/loop/pixels.ts";
import { cast } from "../../../src/graph/ops.ts";
import { devices, sharedRuntime } from "../../helpers/devices.ts";

const [B, H, W] = [6, 9, 7];
const plane = H * W;
const random = createRandom(3, "pixels");
const images = Uint8Array.from({ length: B * 3 * plane }, () => random.integer(256));
const erasing = Uint8Array.from({ length: B * 3 * plane }, () =>
  random.uniform() < 0.2 ? random.integer(256) : 0,
);
const { mean, std } = IMAGENET_NORMALISATION;

/** Normalised and erased, before mixing. */
function before(row: number, i: number): number {
  const index = row * 3 * plane + i;
  const channel = Math.floor(i / plane);
  const code = erasing[index] ?? 0;
  if (code !== 0) return noiseValue(code);
  return ((images[index] ?? 0) / 255 - (mean[channel] ?? 0)) / (std[channel] ?? 1);
}

function byHand(mixes: readonly Mix[]): number[] {
  return mixes.flatMap(({ lambda, box }, row) =>
    Array.from({ length: 3 * plane }, (_, i) => {
      const [y, x] = [Math.floor((i % plane) / W), i % W];
      const inside =
        box !== undefined &&
        y >= box.top &&
        y < box.top + box.height &&
        x >= box.left &&
        x < box.left + box.width;
      const own = box === undefined ? lambda : inside ? 0 : 1;
      return own * before(row, i) + (1 - own) * before(B - 1 - row, i);
    }),
  );
}

const options = {
  mixup: 0.8,
  cutmix: 1,
  cutmixMinmax: null,
  prob: 0.8,
  switchProb: 0.5,
  mode: "elem",
} as const;
const mixes = drawMixes(createRandom(5, "mixes"), options, { batchSize: B, size: [H, W] });

describe.each(devices)("%s", (target) => {
  test("normalises, erases and mixes", async () => {
    expect(mixes.some(({ box }) => box !== undefined) && mixes.some(({ box }) => box === undefined)).toBe(
      true,
    );
    const runtime = await sharedRuntime(target);
    const prepared = (dtype: DType): Promise<Executable> => {
      const batch = (name: string): Value => cast(input(name, dtype, [B, 3, H, W]), "float32");
      const pixels = preparePixels({
        images: batch("images"),
        normalisation: IMAGENET_NORMALISATION,
        erasing: batch("erasing"),
        mix: input("mix", "float32", [B, 6]),
      });
      return runtime.load(compile({ name: "pixels", target, outputs: { pixels } }));
    };
    const mix = mixFeed(mixes);
    const { pixels } = await (await prepared("uint8")).run({ images, erasing, mix });
    const wide = { images: Float32Array.from(images), erasing: Float32Array.from(erasing), mix };
    expect(pixels).toEqual((await (await prepared("float32")).run(wide))["pixels"]); // bit for bit
    const expected = byHand(mixes);
    const largest = expected.reduce(
      (worst, value, i) => Math.max(worst, Math.abs(value - Number(pixels?.[i]))),
      0,
    );
    expect(largest).toBeLessThan(1e-6);
  });
});

test("a preview's mixture is the program's, rounded to bytes", () => {
  const image = (row: number): ReturnType<typeof readPlanar> =>
    readPlanar(images, { width: W, height: H, offset: row * 3 * plane });
  for (const [row, mix] of mixes.entries()) {
    const mixed = mixImages(image(row), image(B - 1 - row), mix);
    for (let y = 0; y < H; y++) {
      for (let x = 0; x < W; x++) {
        const own = image(row).data[(y * W + x) * 3] ?? 0;
        const other = image(B - 1 - row).data[(y * W + x) * 3] ?? 0;
        const { box, lambda } = mix;
        const inside =
          box && y >= box.top && y < box.top + box.height && x >= box.left && x < box.left + box.width;
        const weight = box ? (inside ? 0 : 1) : lambda;
        expect(mixed.data[(y * W + x) * 3]).toBe(Math.round(weight * own + (1 - weight) * other));
      }
    }
  }
});

test("targets are mixed by the share of the row's own pixels", () => {
  const targets = Float32Array.from({ length: B * 2 }, (_, i) => (i % 2 === Math.floor(i / 2) % 2 ? 1 : 0));
  const mixed = mixTargets(targets, mixes, 2);
  for (const [row, { lambda, box }] of mixes.entries()) {
    if (box) expect(lambda).toBeCloseTo(1 - (box.width * box.height) / plane, 12);
    expect((mixed[row * 2] ?? 0) + (mixed[row * 2 + 1] ?? 0)).toBeCloseTo(1, 6);
    const own = lambda * (targets[row * 2] ?? 0) + (1 - lambda) * (targets[(B - 1 - row) * 2] ?? 0);
    expect(mixed[row * 2]).toBeCloseTo(own, 6);
  }
});
