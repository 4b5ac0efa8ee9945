import { describe, expect, it } from "vitest";
import {
  centerCrop,
  crop,
  randomCrop,
  randomResizedCrop,
  roundHalfEven,
} from "../../src/augmentation/crop.ts";
import { flip } from "../../src/augmentation/rgb-image.ts";
import { createRandom, type Random } from "../../src/random.ts";
import golden from "../golden/pil/crop.json" with { type: "json" };
import { generate, sha } from "./generated.ts";

const RATIO = [3 / 4, 4 / 3] as const;
const SCALE = [0.08, 1] as const;

describe("centre crop", () => {
  it.each(golden.centre as [number, number, number, number, string][])(
    "%d×%d → %d high, %d wide, as torchvision",
    (width, height, toHeight, toWidth, expected) => {
      expect(
        sha(crop(generate(width, height, "noise"), centerCrop({ width, height }, [toHeight, toWidth]))),
      ).toBe(expected);
    },
  );

  it("rounds as Python does", () => {
    expect([0, 0.5, 1, 1.5, 2.5, 3.4999, 3.5, 7.51].map(roundHalfEven)).toEqual([0, 0, 1, 2, 2, 3, 4, 8]);
  });
});

describe("crop", () => {
  it("is black outside the image", () => {
    const image = { width: 2, height: 2, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12) };
    expect([...crop(image, { left: -1, top: -1, width: 2, height: 2 }).data]).toEqual([
      0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3,
    ]);
    expect([...crop(image, { left: 1, top: 1, width: 2, height: 2 }).data]).toEqual([
      10, 11, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
    expect(crop(image, { left: 5, top: 0, width: 3, height: 3 }).data.every((x) => x === 0)).toBe(true);
    expect(crop(image, { left: 0, top: -9, width: 3, height: 3 }).data.every((x) => x === 0)).toBe(true);
  });
});

describe("random crop", () => {
  it("reaches every position equally often", () => {
    const random = createRandom(1);
    const counts = new Map<string, number>();
    for (let i = 0; i < 8100; i++) {
      const { left, top, width, height } = randomCrop(
        random,
        { width: 32, height: 32 },
        { size: [32, 32], padding: 4 },
      );
      expect([width, height]).toEqual([32, 32]);
      counts.set(`${left},${top}`, (counts.get(`${left},${top}`) ?? 0) + 1);
    }
    expect(counts.size).toBe(81); // −4…4 twice
    expect(Math.min(...counts.values())).toBeGreaterThan(60);
    expect(Math.max(...counts.values())).toBeLessThan(145);
  });

  it("needs room", () => {
    expect(() =>
      randomCrop(createRandom(1), { width: 20, height: 40 }, { size: [32, 32], padding: 4 }),
    ).toThrow(expect.objectContaining({ code: "image/argument" }));
  });
});

describe("random resized crop", () => {
  it.each(golden.randomResized)(
    "chooses timm's rectangle from timm's draws: $size, $region",
    ({ size, uniforms, integers, region }) => {
      const numbers = [...uniforms];
      const positions = [...integers];
      const scripted: Pick<Random, "uniform" | "integer"> = {
        uniform: (low = 0, high = 1) => low + (high - low) * (numbers.shift() ?? Number.NaN),
        integer: (max) => {
          const [expectedMax, value] = positions.shift() ?? [];
          expect(max).toBe(expectedMax);
          return value ?? Number.NaN;
        },
      };
      const [width = 0, height = 0] = size;
      const drawn = randomResizedCrop(
        { ...createRandom(0), ...scripted },
        { width, height },
        { scale: SCALE, ratio: RATIO },
      );
      expect([drawn.left, drawn.top, drawn.width, drawn.height]).toEqual(region);
      expect(numbers).toEqual([]);
    },
  );

  it("stays inside, and its area and ratio have the asked-for distribution", () => {
    const random = createRandom(3);
    const count = 20_000;
    let area = 0;
    let logRatio = 0;
    for (let i = 0; i < count; i++) {
      const { left, top, width, height } = randomResizedCrop(
        random,
        { width: 400, height: 400 },
        { scale: [0.08, 0.5], ratio: RATIO },
      );
      expect(left >= 0 && top >= 0 && left + width <= 400 && top + height <= 400).toBe(true);
      area += (width * height) / 160_000 / count;
      logRatio += Math.log(width / height) / count;
    }
    expect(area).toBeCloseTo(0.29, 2);
    expect(Math.abs(logRatio)).toBeLessThan(0.006);
  });

  it("survives images of a few pixels", () => {
    for (let i = 0; i < 200; i++) {
      for (const [width, height] of [
        [1, 1],
        [1, 9],
        [50, 1],
        [2, 2],
      ] as const) {
        const region = randomResizedCrop(createRandom(i), { width, height }, { scale: SCALE, ratio: RATIO });
        expect(
          region.width >= 1 &&
            region.height >= 1 &&
            region.left + region.width <= width &&
            region.top + region.height <= height,
        ).toBe(true);
      }
    }
  });
});

describe("flip", () => {
  it("mirrors rows, and twice is nothing", () => {
    const image = generate(5, 3, "noise");
    const mirrored = flip(image);
    for (let y = 0; y < 3; y++)
      for (let x = 0; x < 5; x++)
        for (let c = 0; c < 3; c++)
          expect(mirrored.data[(y * 5 + x) * 3 + c]).toBe(image.data[(y * 5 + 4 - x) * 3 + c]);
    expect(flip(mirrored)).toEqual(image);
  });
});
