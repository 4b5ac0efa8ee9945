/** Where a map lies on the whole image, how it is enlarged, and what is drawn. */
import { describe, expect, test } from "vitest";
import { enlarge, overlay, rangeOf, reduced, seenPart } from "../src/attention/attention-overlay.ts";
import { cropBox } from "../src/attention/crop-box.ts";
import type { RgbImage } from "../../deit/src/augmentation/rgb-image.ts";
import { createTransform } from "../../deit/src/augmentation/transform.ts";
import { COLOUR_TABLE, cssColour } from "../../deit/src/figures/colour-map.ts";
import { createRandom } from "../../deit/src/random.ts";

function grey(width: number, height: number, level = 0): RgbImage {
  return { width, height, data: new Uint8Array(width * height * 3).fill(level) };
}

/** The middle of what is bright, in pixels. */
function brightMiddle({ width, height, data }: RgbImage): [x: number, y: number] {
  let [sum, atX, atY] = [0, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const level = data[3 * (y * width + x)] ?? 0;
      sum += level;
      atX += level * (x + 0.5);
      atY += level * (y + 0.5);
    }
  }
  return [atX / sum, atY / sum];
}

describe("what of the image was seen", () => {
  const sizes = [
    [451, 300],
    [300, 451],
    [224, 224],
    [97, 640],
    [32, 32],
  ] as const;
  test.each(
    sizes.flatMap(
      ([width, height]) =>
        [
          { width, height, size: [64, 64], cropRatio: 0.875 },
          { width, height, size: [32, 96], cropRatio: 1 },
          { width, height, size: [64, 32], cropRatio: 0.7 },
          { width, height, size: [32, 32], cropRatio: 1.2 },
          { width, height, size: [64, 32], cropRatio: 0.9, resize: "squash" },
          { width, height, size: [32, 32], cropRatio: 1, resize: "none" },
        ] as const,
    ),
  )("$width × $height as $size, crop ratio $cropRatio $resize", ({ width, height, ...options }) => {
    const transform = createTransform({ mode: "evaluation", ...options });
    const draw = transform.draw(createRandom(0), width, height);
    const seen = cropBox(draw, { width, height });
    // a bright spot right of and below the middle of what is seen, large enough to survive the resampling
    const spot: [x: number, y: number] = [
      Math.round(seen.left + seen.width * 0.6),
      Math.round(seen.top + seen.height * 0.55),
    ];
    const pixels = grey(width, height);
    const [across, down] = [Math.ceil(seen.width / 16), Math.ceil(seen.height / 16)];
    for (let y = spot[1] - down; y < spot[1] + down; y++)
      for (let x = spot[0] - across; x < spot[0] + across; x++)
        pixels.data.fill(200, 3 * (y * width + x), 3 * (y * width + x) + 3);
    const [x, y] = brightMiddle(transform.apply(pixels, draw));
    expect(Math.abs(seen.left + (x / options.size[1]) * seen.width - spot[0])).toBeLessThan(
      0.02 * seen.width,
    );
    expect(Math.abs(seen.top + (y / options.size[0]) * seen.height - spot[1])).toBeLessThan(
      0.02 * seen.height,
    );
  });

  test("augmented images have no such region", () => {
    expect(() => cropBox([{ op: "flip" }], grey(4, 4))).toThrow(RangeError);
  });
});

test("maps are enlarged smoothly, each cell in its place", () => {
  const map = Float32Array.of(0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0); // 3 × 4
  const large = enlarge(map, [3, 4], [60, 120]);
  const peak = large.indexOf(Math.max(...large));
  expect([peak % 120, Math.floor(peak / 120)]).toEqual([expect.closeTo(75, -1), expect.closeTo(30, -1)]);
  const steps = large.map((value, i) => (i % 120 === 0 ? 0 : Math.abs(value - (large[i - 1] ?? 0))));
  expect(Math.max(...steps)).toBeLessThan(0.08); // nearest neighbours would step by 1
  expect(
    [...enlarge(new Float32Array(6).fill(0.3), [2, 3], [9, 9])].every((x) => Math.abs(x - 0.3) < 1e-5),
  ).toBe(true);
});

describe("the image under a map", () => {
  const seen = { left: 20, top: 10, width: 40, height: 40 };
  const map = Float32Array.of(0, 0, 0, 1);
  const options = { seen, grid: [2, 2] as const, range: { low: 0, high: 1 } };
  const pixels = {
    ...grey(80, 60, 120),
    data: new Uint8Array(80 * 60 * 3).map((_, i) => [200, 100, 40][i % 3] ?? 0),
  };
  const drawn = overlay(pixels, map, options);
  const pixel = (x: number, y: number): number[] => [
    ...drawn.data.subarray(3 * (y * 80 + x), 3 * (y * 80 + x) + 3),
  ];

  test("keeps its size, is grey and dark outside, and lightest where attention is", () => {
    expect([drawn.width, drawn.height]).toEqual([80, 60]);
    const [red = 0, green, blue] = pixel(5, 5);
    expect([green, blue]).toEqual([red, red]);
    expect(red).toBeLessThan(70);
    const light = (x: number, y: number): number => pixel(x, y).reduce((sum, level) => sum + level, 0);
    expect(light(55, 45)).toBeGreaterThan(light(25, 15) + 200);
    expect(light(19, 30)).toBeGreaterThan(light(10, 30)); // the line around what was seen
  });

  test("colours are the map's alone: an image of any colour is grey below it", () => {
    const colours = [
      [200, 100, 40],
      [20, 120, 240],
    ].map((rgb) => ({ ...pixels, data: pixels.data.map((_, i) => rgb[i % 3] ?? 0) }));
    const light = (rgb: number[]): number =>
      rgb.reduce((sum, c, i) => sum + c * ([0.299, 0.587, 0.114][i] ?? 0), 0);
    const [warm, cold] = colours.map((image) =>
      overlay(image, map, options).data.subarray(3 * (30 * 80 + 40), 3 * (30 * 80 + 40) + 3),
    );
    const difference = [0, 1, 2].map((c) => (warm?.[c] ?? 0) - (cold?.[c] ?? 0));
    // they differ by their light, and by no colour
    expect(Math.max(...difference) - Math.min(...difference)).toBeLessThanOrEqual(1);
    expect(Math.sign(difference[0] ?? 0)).toBe(Math.sign(light([200, 100, 40]) - light([20, 120, 240])));
  });

  test("a region that leaves the image is drawn as far as there is an image", () => {
    const beyond = overlay(pixels, map, {
      ...options,
      seen: { left: -20, top: -20, width: 120, height: 100 },
    });
    expect(beyond.data.length).toBe(pixels.data.length);
    expect(seenPart(pixels, { left: -20, top: 5, width: 50, height: 200 })).toMatchObject({
      pixels: { width: 30, height: 55 },
      seen: { left: -20, top: 0 },
    });
  });

  test("reduced with its region, never enlarged", () => {
    expect(reduced(pixels, seen, { width: 40, height: 100 })).toMatchObject({
      pixels: { width: 40, height: 30 },
      seen: { left: 10, top: 5, width: 20, height: 20 },
    });
    expect(reduced(pixels, seen, { width: 400, height: 100 }).pixels).toBe(pixels);
  });
});

test("a range runs from the least to the most but the topmost hundredth, and is never empty", () => {
  const map = Float32Array.from({ length: 200 }, (_, i) => i);
  expect(rangeOf([map])).toEqual({ low: 0, high: 197 });
  expect(rangeOf([map, map.map((value) => -value)])).toMatchObject({ low: -199 });
  const { low, high } = rangeOf([new Float32Array(9).fill(0.5)]);
  expect(high).toBeGreaterThan(low);
});

test("colours get lighter evenly", () => {
  const lightness = Array.from({ length: 256 }, (_, i) => {
    const [r = 0, g = 0, b = 0] = [...COLOUR_TABLE.subarray(3 * i, 3 * i + 3)].map((c) => (c / 255) ** 2.2);
    return Math.cbrt(0.2126 * r + 0.7152 * g + 0.0722 * b);
  });
  for (let i = 8; i < 256; i += 8) expect(lightness[i]).toBeGreaterThan(lightness[i - 8] ?? 1);
  expect([cssColour(0), cssColour(1), cssColour(2)]).toEqual([
    "rgb(0 0 4)",
    "rgb(252 255 164)",
    "rgb(252 255 164)",
  ]);
});
