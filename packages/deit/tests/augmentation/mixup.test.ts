/**
 * Mixup and CutMix against timm's with the same draws (recorded by tests/golden/mixup/record.py), and the statistics of
 * their own draws. How the program mixes pixels: tests/training/loop/pixels.test.ts.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Mix, MixupOptions } from "../../src/augmentation/mixup.ts";
import { boxAround, drawMixes, mixFeed, mixTargets } from "../../src/augmentation/mixup.ts";
import { IMAGENET_NORMALISATION } from "../../src/augmentation/normalisation.ts";
import { ConfigError } from "../../src/errors.ts";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import type { Random } from "../../src/random.ts";
import { createRandom } from "../../src/random.ts";
import { preparePixels } from "../../src/training/loop/pixels.ts";
import { smoothTargets } from "../../src/training/loop/step-feeds.ts";
import { expectClose } from "../graph/compare.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededTensor, unpack } from "../helpers/seeded.ts";

interface Draws {
  readonly prob: readonly number[];
  readonly switch: readonly number[];
  readonly mixup: readonly number[];
  readonly cutmix: readonly number[];
  readonly places: readonly number[];
}

interface Case {
  readonly options: {
    readonly mixup: number;
    readonly cutmix: number;
    readonly minmax: [number, number] | null;
    readonly prob: number;
    readonly switch: number;
    readonly mode: MixupOptions["mode"];
  };
  readonly draws: Draws;
  readonly weights: readonly number[];
  /** Top, bottom, left, right of every box that was cut, in the order of the rows. */
  readonly boxes: readonly (readonly number[])[];
  readonly targets: PackedTensor;
  readonly pixels: PackedTensor;
}

const file = new URL("../golden/mixup/mixup.json", import.meta.url);
const golden: {
  readonly shape: [number, number, number, number];
  readonly classes: number;
  readonly smoothing: number;
  readonly labels: readonly number[];
  readonly cases: Readonly<Record<string, Case>>;
  /** Size, λ, centre y and x, then top, bottom, left, right and the corrected λ. */
  readonly boxes: readonly (readonly number[])[];
} = JSON.parse(readFileSync(file, "utf8"));
const [B, , H, W] = golden.shape;

function optionsOf({ options }: Case): MixupOptions {
  const { mixup, cutmix, minmax, prob, switch: switchProb, mode } = options;
  return { mixup, cutmix, cutmixMinmax: minmax, prob, switchProb, mode };
}

/** A stream that gives the recorded draws, row by row. */
function replay({ options, draws }: Case): Random {
  const both = options.mixup > 0 && (options.cutmix > 0 || options.minmax !== null);
  let row = -1;
  let switching = false;
  let place = 0;
  return {
    ...createRandom(0),
    uniform: () => {
      if (switching) {
        switching = false;
        return draws.switch[row] ?? Number.NaN;
      }
      const u = draws.prob[++row] ?? Number.NaN;
      switching = both && u < options.prob;
      return u;
    },
    beta: (a: number) => (a === options.mixup ? draws.mixup[row] : draws.cutmix[row]) ?? Number.NaN,
    integer: (max: number) => Math.floor((draws.places[place++] ?? Number.NaN) * max),
  };
}

const cut = ({ box }: Mix): number[][] =>
  box ? [[box.top, box.top + box.height, box.left, box.left + box.width]] : [];

describe("with timm's draws", () => {
  test.each(Object.entries(golden.cases))("%s", (_, recorded) => {
    const mixes = drawMixes(replay(recorded), optionsOf(recorded), { batchSize: B, size: [H, W] });
    const drawn = { batch: 1, pair: B / 2, elem: B }[recorded.options.mode];
    expect(mixes.slice(0, drawn).flatMap(cut)).toEqual(recorded.boxes);
    const weights = mixes.map(({ lambda }) => lambda);
    expectClose(weights, recorded.weights, { tolerance: 6e-8, name: "weights" }); // timm's are float32

    const smoothed = smoothTargets(golden.labels, golden.classes, golden.smoothing);
    const targets = mixTargets(smoothed, mixes, golden.classes);
    expectClose(targets, unpack(recorded.targets), { tolerance: 2e-7, name: "targets" });

    const images = input("images", "float32", golden.shape);
    const pixels = preparePixels({
      images,
      normalisation: IMAGENET_NORMALISATION,
      mix: input("mix", "float32", [B, 6]),
    });
    const bytes = seededTensor("pictures", B * 3 * H * W, { offset: 128, scale: 256 });
    const [mixed] = evaluate([pixels], {
      images: bytes.map((x) => Math.min(Math.floor(x), 255)),
      mix: mixFeed(mixes),
    });
    expectClose(mixed, unpack(recorded.pixels), { tolerance: 3e-7, name: "pixels" });
  });

  test("boxes and corrected λ of images of 32 and 224 pixels", () => {
    for (const [
      size = 0,
      lambda = 0,
      y = 0,
      x = 0,
      top,
      bottom,
      left,
      right,
      corrected = 0,
    ] of golden.boxes) {
      const box = boxAround(lambda, [size, size], [y, x]);
      expect(cut({ lambda, box })[0]).toEqual([top, bottom, left, right]);
      expect(1 - (box.width * box.height) / size ** 2).toBeCloseTo(corrected, 14);
    }
  });
});

const paper: MixupOptions = {
  mixup: 0.8,
  cutmix: 1,
  cutmixMinmax: null,
  prob: 1,
  switchProb: 0.5,
  mode: "elem",
};
const DRAWS = 10_000;

function drawMany(change: Partial<MixupOptions>, size: [number, number] = [224, 224]): Mix[] {
  return drawMixes(createRandom(1, "statistics"), { ...paper, ...change }, { batchSize: DRAWS, size });
}

const average = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0) / values.length;

describe("10,000 draws", () => {
  test("Mixup's λ has the moments of Beta(α, α), and is symmetric", () => {
    for (const alpha of [0.2, 0.8, 2]) {
      const lambdas = drawMany({ mixup: alpha, cutmix: 0 }).map(({ lambda }) => lambda);
      const variance = 1 / (4 * (2 * alpha + 1));
      // Four standard errors; the fourth central moment of Beta(α, α) is 3 / (16 (2α + 1)(2α + 3)).
      const fourth = 3 / (16 * (2 * alpha + 1) * (2 * alpha + 3));
      const bound = (moment: number): number => 4 * Math.sqrt(moment / DRAWS);
      expect(Math.abs(average(lambdas) - 0.5)).toBeLessThan(bound(variance));
      const second = average(lambdas.map((lambda) => (lambda - 0.5) ** 2));
      expect(Math.abs(second - variance)).toBeLessThan(bound(fourth - variance ** 2));
      expect(average(lambdas.map((lambda) => (lambda - 0.5) ** 3))).toBeCloseTo(0, 2);
    }
  });

  test.each([
    [1, 0.5],
    [0.3, 0.5],
    [1, 0.2],
  ])("with probability %d anything is mixed, and switched to CutMix with %d", (prob, switchProb) => {
    const mixes = drawMany({ prob, switchProb });
    const mixed = mixes.filter(({ lambda, box }) => box !== undefined || lambda !== 1);
    const boxes = mixes.filter(({ box }) => box !== undefined);
    const near = (count: number, of: number, rate: number): void =>
      expect(Math.abs(count / of - rate)).toBeLessThanOrEqual(4 * Math.sqrt((rate * (1 - rate)) / of));
    near(mixed.length, DRAWS, prob);
    near(boxes.length, mixed.length, switchProb);
  });

  test("CutMix' boxes have the area that λ leaves after clipping, and lie anywhere", () => {
    const size = 224;
    const boxes = drawMany({ mixup: 0 }, [size, size]).map(({ lambda, box }) => {
      const area = (box?.width ?? 0) * (box?.height ?? 0);
      expect(1 - area / size ** 2).toBe(lambda);
      return { lambda, ...(box ?? { top: 0, left: 0, width: 0, height: 0 }) };
    });
    // Side s uniform centre: E[clipped side] = s − s²/4, with 1 − λ = s² uniform: E[(s − s²/4)²] = 1/2 − 1/5 + 1/48.
    const expected = 1 / 2 - 1 / 5 + 1 / 48;
    // Whole pixels: the sides are cut down by half a pixel in the mean.
    expect(Math.abs(average(boxes.map(({ lambda }) => 1 - lambda)) - expected)).toBeLessThan(0.012);
    for (const { top, left, width, height } of boxes) {
      expect(top >= 0 && left >= 0 && top + height <= size && left + width <= size).toBe(true);
    }
    const middle = (from: "top" | "left", side: "height" | "width"): number =>
      average(boxes.map((box) => box[from] + box[side] / 2));
    expect(Math.abs(middle("top", "height") - size / 2)).toBeLessThan(2);
    expect(Math.abs(middle("left", "width") - size / 2)).toBeLessThan(2);
  });

  test("cutmix-minmax draws sides within its shares, beside Mixup where that is on", () => {
    const mixes = drawMany({ mixup: 0, cutmix: 0, cutmixMinmax: [0.25, 0.75] }, [32, 32]);
    const heights = mixes.map(({ box }) => box?.height ?? -1);
    expect([Math.min(...heights), Math.max(...heights)]).toEqual([8, 23]);
    expect(Math.abs(average(heights) - 15.5)).toBeLessThan(0.2);
    const ends = mixes.map(({ box }) => (box ? box.left + box.width : 0));
    expect(Math.max(...ends)).toBe(32);
    const beside = drawMany({ cutmix: 0, cutmixMinmax: [0.25, 0.75] });
    const boxes = beside.filter(({ box }) => box !== undefined).length;
    expect(Math.abs(boxes / DRAWS - 0.5)).toBeLessThan(0.02);
  });
});

describe("drawMixes", () => {
  const draw = (mode: MixupOptions["mode"], batchSize = 8): Mix[] =>
    drawMixes(createRandom(4), { ...paper, mode }, { batchSize, size: [32, 32] });

  test("one draw for the batch, one a pair, one a row", () => {
    expect(new Set(draw("batch")).size).toBe(1);
    const pairs = draw("pair");
    expect(new Set(pairs).size).toBe(4);
    expect(pairs.toReversed()).toEqual(pairs);
    expect(new Set(draw("elem")).size).toBe(8);
  });

  test("the same stream gives the same mixes", () => {
    expect(draw("elem")).toEqual(draw("elem"));
  });

  test("an odd batch is an error of the batch size", () => {
    expect(() => draw("batch", 5)).toThrow(ConfigError);
    expect(() => draw("batch", 5)).toThrow("a batch of 5 cannot be mixed");
  });
});
