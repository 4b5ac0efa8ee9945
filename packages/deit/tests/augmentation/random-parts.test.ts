/** The random parts beside RandAugment, over 10,000 draws, against their distributions; and the noise of erasing. */
import { describe, expect, test } from "vitest";
import { drawColorJitter } from "../../src/augmentation/color-jitter.ts";
import { drawErasing, noiseValue, writeNoise } from "../../src/augmentation/erasing.ts";
import type { Operation } from "../../src/augmentation/operation.ts";
import { drawThreeAugment } from "../../src/augmentation/three-augment.ts";
import { createTransform, type TrainTransformOptions } from "../../src/augmentation/transform.ts";
import { createRandom } from "../../src/random.ts";

const DRAWS = 10_000;
const size = { width: 32, height: 24 };

/** Within four standard deviations of `tries` draws at `probability`. */
function near(count: number, tries: number, probability: number): void {
  const deviation = Math.sqrt(tries * probability * (1 - probability));
  expect(Math.abs(count - tries * probability)).toBeLessThan(4 * deviation);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe("erasing", () => {
  const options = { probability: 0.25, mode: "pixel", count: 1 } as const;
  const draws = Array.from({ length: DRAWS }, (_, i) => drawErasing(createRandom(1, i), size, options));
  const regions = draws.flat().flatMap((operation) => (operation.op === "erase" ? operation.regions : []));

  test("happens to a quarter of the images", () => {
    near(draws.filter(({ length }) => length > 0).length, DRAWS, 0.25);
    expect(regions.length).toBeGreaterThan(0.99 * draws.flat().length);
  });

  test("takes 2 to 33 % of the image, aspects of 0.3 to 3.3 alike in the logarithm", () => {
    const areas = regions.map(({ width, height }) => (width * height) / (32 * 24));
    // rounding to whole pixels moves small areas a little; high boxes that do not fit are drawn again
    expect(Math.min(...areas)).toBeGreaterThan(0.012);
    expect(Math.max(...areas)).toBeLessThan(0.36);
    expect(mean(areas)).toBeGreaterThan(0.155);
    expect(mean(areas)).toBeLessThan((0.02 + 1 / 3) / 2 + 0.01);
    const square = { width: 64, height: 64 };
    const aspects = Array.from({ length: 4000 }, (_, i) =>
      drawErasing(createRandom(2, i), square, { ...options, probability: 1 }),
    )
      .flat()
      .flatMap((operation) => (operation.op === "erase" ? operation.regions : []))
      .map(({ width, height }) => Math.log(height / width));
    expect(Math.abs(mean(aspects))).toBeLessThan(0.06);
    expect(Math.max(...aspects.map(Math.abs))).toBeLessThan(Math.log(1 / 0.3) + 0.15);
  });

  test("lies anywhere in the image, its far edges included", () => {
    for (const { left, top, width, height } of regions) {
      expect(left >= 0 && top >= 0 && left + width <= 32 && top + height <= 24).toBe(true);
    }
    expect(regions.some(({ left, width }) => left + width === 32)).toBe(true);
    expect(regions.some(({ top, height }) => top + height === 24)).toBe(true);
  });

  test("shares its area among several rectangles", () => {
    const three = drawErasing(createRandom(3), size, { probability: 1, mode: "const", count: 3 });
    const [operation] = three;
    expect(operation?.op === "erase" && operation.regions.length).toBe(3);
  });

  const erase = (mode: "pixel" | "rand" | "const"): Extract<Operation, { op: "erase" }> => ({
    op: "erase",
    regions: [{ left: 3, top: 5, width: 20, height: 15 }],
    mode,
    noise: 7,
  });
  const codesOf = (mode: "pixel" | "rand" | "const"): Uint8Array => {
    const target = new Uint8Array(3 * 32 * 24);
    writeNoise(erase(mode), target, { offset: 0, size: [24, 32] });
    return target;
  };

  test("pixel noise is normal, const is exactly the mean, rand one colour", () => {
    const values: number[] = [];
    for (let noise = 0; noise < 40; noise++) {
      const target = new Uint8Array(3 * 32 * 24);
      writeNoise({ ...erase("pixel"), noise }, target, { offset: 0, size: [24, 32] });
      for (const code of target) if (code !== 0) values.push(noiseValue(code));
    }
    expect(values).toHaveLength(40 * 3 * 20 * 15);
    const average = mean(values);
    const std = Math.sqrt(mean(values.map((value) => (value - average) ** 2)));
    expect(Math.abs(average)).toBeLessThan(4 / Math.sqrt(values.length));
    expect(Math.abs(std - 1)).toBeLessThan(4 / Math.sqrt(2 * values.length));
    near(values.filter((value) => Math.abs(value) < 0.984_375).length, values.length, 0.675_1); // codes within ±31.5 steps
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(127 / 32);
    expect(new Set(codesOf("const"))).toEqual(new Set([0, 128]));
    expect(noiseValue(128)).toBe(0);
    expect(new Set(codesOf("rand")).size).toBeLessThanOrEqual(4);
  });

  test("the same seed is the same noise; rows outside the rectangle are kept", () => {
    expect(codesOf("pixel")).toEqual(codesOf("pixel"));
    expect(
      codesOf("pixel")
        .subarray(0, 5 * 32)
        .every((code) => code === 0),
    ).toBe(true);
  });
});

test("3-Augment does one of its three, alike", () => {
  const operations = Array.from({ length: DRAWS }, (_, i) => drawThreeAugment(createRandom(4, i))).flat();
  expect(operations).toHaveLength(DRAWS);
  const kinds = Map.groupBy(operations, ({ op }) => op);
  expect([...kinds.keys()].toSorted((a, b) => (a < b ? -1 : 1))).toEqual(["blur", "grayscale", "solarize"]);
  for (const group of kinds.values()) near(group.length, DRAWS, 1 / 3);
  const radii = operations.flatMap((operation) => (operation.op === "blur" ? [operation.radius] : []));
  expect(Math.abs(mean(radii) - 1.05)).toBeLessThan((4 * 1.9) / Math.sqrt(12 * radii.length));
});

test("colour jitter draws each factor evenly, in every order", () => {
  const draws = Array.from({ length: DRAWS }, (_, i) => drawColorJitter(createRandom(5, i), 0.3));
  const orders = Map.groupBy(draws, (draw) => draw.map(({ op }) => op).join());
  expect(orders.size).toBe(6);
  for (const group of orders.values()) near(group.length, DRAWS, 1 / 6);
  const factors = draws.flat().map((operation) => ("factor" in operation ? operation.factor : 0));
  expect(Math.min(...factors)).toBeGreaterThanOrEqual(0.7);
  expect(Math.max(...factors)).toBeLessThan(1.3);
  expect(Math.abs(mean(factors) - 1)).toBeLessThan((4 * 0.6) / Math.sqrt(12 * factors.length));
});

describe("a transform's steps", () => {
  const whole: TrainTransformOptions = {
    mode: "train",
    size: [24, 32],
    augment: "rand-m9-mstd0.5-inc1",
    erasing: { probability: 1, mode: "pixel", count: 1 },
  };
  const drawOf = (options: TrainTransformOptions, i: number): readonly Operation[] =>
    createTransform(options).draw(createRandom(6, i), 50, 40);

  test("come in the reference's order", () => {
    const rank = (op: string): number => ["resize", "flip", "policy", "erase"].indexOf(op);
    for (let i = 0; i < 200; i++) {
      const ranks = drawOf(whole, i).map(({ op }) =>
        rank(["resize", "flip", "erase"].includes(op) ? op : "policy"),
      );
      expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
    }
  });

  test("one that is switched off leaves the others' draws as they were", () => {
    const { augment: _, ...withoutPolicy } = whole;
    const { erasing: __, ...withoutErasing } = whole;
    for (let i = 0; i < 200; i++) {
      const all = drawOf(whole, i);
      const kept = (of: readonly Operation[], ...ops: string[]): readonly Operation[] =>
        of.filter(({ op }) => ops.includes(op));
      expect(drawOf(withoutPolicy, i)).toEqual(kept(all, "resize", "flip", "erase"));
      expect(drawOf(withoutErasing, i)).toEqual(all.filter(({ op }) => op !== "erase"));
      expect(kept(drawOf({ ...whole, flip: 0 }, i), "resize", "erase")).toEqual(kept(all, "resize", "erase"));
    }
  });

  test("random interpolation is one of the two; a policy replaces the jitter, 3-Augment the policy", () => {
    const kinds = new Set(
      Array.from({ length: 100 }, (_, i) => drawOf({ ...whole, interpolation: "random" }, i)).flatMap(
        (draw) => draw.flatMap((operation) => (operation.op === "resize" ? [operation.interpolation] : [])),
      ),
    );
    expect([...kinds].toSorted((a, b) => (a < b ? -1 : 1))).toEqual(["bicubic", "bilinear"]);
    const ops = (options: TrainTransformOptions): Set<string> =>
      new Set(
        Array.from({ length: 300 }, (_, i) => drawOf(options, i)).flatMap((draw) => draw.map(({ op }) => op)),
      );
    expect(ops({ ...whole, colorJitter: 0.3 })).toEqual(ops(whole));
    expect(ops({ ...whole, threeAugment: true, colorJitter: 0.3 })).toEqual(
      new Set([
        "resize",
        "flip",
        "grayscale",
        "solarize",
        "blur",
        "brightness",
        "contrast",
        "color",
        "erase",
      ]),
    );
  });

  test("the simple crop covers the size, then shifts by up to 4 mirrored pixels", () => {
    const options = { mode: "train", size: [24, 24], crop: { kind: "simple" }, flip: 0 } as const;
    const shifts = new Set<number>();
    for (let i = 0; i < 300; i++) {
      const [resize, crop] = createTransform(options).draw(createRandom(7, i), 60, 40);
      expect(resize).toMatchObject({ op: "resize", size: [24, 36] });
      if (crop?.op !== "crop") throw new Error("no crop");
      expect(crop.border).toBe("reflect");
      shifts.add(crop.region.top);
    }
    expect([...shifts].toSorted((a, b) => a - b)).toEqual([-4, -3, -2, -1, 0, 1, 2, 3, 4]);
  });
});
