import { describe, expect, it } from "vitest";
import { crop } from "../../src/augmentation/crop.ts";
import { readPlanar, writePlanar } from "../../src/augmentation/rgb-image.ts";
import type { Draw } from "../../src/augmentation/operation.ts";
import { completePreprocessing, evaluationTransform } from "../../src/augmentation/preprocessing.ts";
import type { Interpolation } from "../../src/augmentation/resize.ts";
import { createTransform, type TransformOptions } from "../../src/augmentation/transform.ts";
import { createRandom } from "../../src/random.ts";
import golden from "../golden/pil/crop.json" with { type: "json" };
import { generate, sha } from "./generated.ts";

function once(options: TransformOptions, width: number, height: number, seed = 0): Draw {
  return createTransform(options).draw(createRandom(seed), width, height);
}

describe("evaluation", () => {
  it.each(golden.evaluation as [number, number, number, number, string][])(
    "%d×%d to %d, crop ratio %d: torchvision's Resize and CenterCrop",
    (width, height, size, cropRatio, expected) => {
      const transform = createTransform({ mode: "evaluation", size: [size, size], cropRatio });
      const image = generate(width, height, "noise");
      const result = transform.apply(image, transform.draw(createRandom(0), width, height));
      expect([result.height, result.width]).toEqual([size, size]);
      expect(sha(result)).toBe(expected);
    },
  );

  const modes = golden.modes as unknown as [
    number,
    number,
    number,
    number,
    number,
    string,
    Interpolation,
    string,
  ][];
  it.each([...Map.groupBy(modes, ([, , , , , mode, interpolation]) => `${mode}, ${interpolation}`)])(
    "timm's crop mode %s",
    (_, cases) => {
      const resizes = { squash: "squash", border: "longer-side", center: "shorter-side" } as const;
      for (const [width, height, h, w, cropRatio, mode, interpolation, expected] of cases) {
        const transform = createTransform(
          evaluationTransform(
            completePreprocessing([h, w], {
              resize: resizes[mode as keyof typeof resizes],
              cropRatio,
              interpolation,
              smallWhole: false,
            }),
          ),
        );
        const result = transform.apply(
          generate(width, height, "noise"),
          transform.draw(createRandom(0), width, height),
        );
        expect([result.height, result.width]).toEqual([h, w]);
        expect(sha(result), `${width}×${height} to ${w}×${h} of ${cropRatio}`).toBe(expected);
      }
    },
  );

  it("cuts or fills without resizing", () => {
    const none = { mode: "evaluation", size: [40, 40], resize: "none" } as const;
    expect(once(none, 50, 44)).toEqual([{ op: "crop", region: { left: 5, top: 2, width: 40, height: 40 } }]);
    expect(once(none, 30, 50)).toEqual([{ op: "crop", region: { left: -5, top: 5, width: 40, height: 40 } }]);
    expect(once(none, 40, 40)).toEqual([]);
  });

  it("resizes to an exact size where no ratio says it", () => {
    const options = {
      mode: "evaluation",
      size: [192, 224],
      resizedSize: [256, 256],
      resize: "squash",
    } as const;
    expect(once(options, 500, 375)).toMatchObject([
      { size: [256, 256], window: { left: 16, top: 32, width: 224, height: 192 } },
    ]);
  });

  it("resizes to 256 for 224 and to 438 for 384, the long side cut off", () => {
    expect(once({ mode: "evaluation", size: [224, 224] }, 500, 375)).toMatchObject([
      { op: "resize", size: [256, 341] },
    ]);
    // timm 1.0.31, ResizeKeepRatio((142, 248)) and CenterCrop((128, 224)), which round
    const wide = { mode: "evaluation", size: [128, 224], cropRatio: 0.9 } as const;
    expect(once(wide, 661, 500)).toMatchObject([{ size: [188, 248], window: { left: 12, top: 30 } }]);
    expect(once(wide, 666, 500)).toMatchObject([{ size: [186, 248] }]);
    expect(once(wide, 300, 700)).toMatchObject([{ size: [579, 248] }]);
    expect(once({ mode: "evaluation", size: [384, 384] }, 500, 500)).toMatchObject([
      { op: "resize", size: [438, 438] },
    ]);
  });

  it("leaves images alone that are at most 32 and have the size already, and only those", () => {
    expect(once({ mode: "evaluation", size: [32, 32] }, 32, 32)).toEqual([]);
    expect(once({ mode: "evaluation", size: [32, 32] }, 64, 64)).toMatchObject([
      { op: "resize", size: [36, 36] },
    ]);
    expect(once({ mode: "evaluation", size: [64, 64] }, 64, 64)).toMatchObject([
      { op: "resize", size: [73, 73] },
    ]);
  });

  it("covers a size that is not square", () => {
    expect(once({ mode: "evaluation", size: [100, 200], cropRatio: 1 }, 300, 300)).toMatchObject([
      { size: [200, 200], window: { top: 50, height: 100 } },
    ]);
    expect(once({ mode: "evaluation", size: [200, 100], cropRatio: 1 }, 150, 100)).toMatchObject([
      { size: [200, 300], window: { left: 100, width: 100 } },
    ]);
  });
});

describe("training", () => {
  it("is a padded random crop and a flip for CIFAR, a random resized crop and a flip otherwise", () => {
    const ops = (size: number, width: number): Set<string> =>
      new Set(
        Array.from({ length: 50 }, (_, seed) =>
          once({ mode: "train", size: [size, size] }, width, width, seed)
            .map(({ op }) => op)
            .join(" "),
        ),
      );
    expect(ops(32, 32)).toEqual(new Set(["crop", "crop flip"]));
    expect(ops(224, 300)).toEqual(new Set(["resize", "resize flip"]));
    expect(ops(32, 300)).toEqual(new Set(["resize", "resize flip"]));
    expect(ops(64, 64)).toEqual(new Set(["resize", "resize flip"]));
  });

  it("gives every image the size asked for", () => {
    for (const kind of ["auto", "resized", "padded", "centre"] as const) {
      for (const size of [
        [32, 32],
        [24, 48],
        [96, 40],
      ] as const) {
        const transform = createTransform({ mode: "train", size, crop: { kind } });
        for (const [width, height] of [
          [32, 32],
          [48, 24],
          [200, 100],
          [9, 70],
          [1, 1],
        ] as const) {
          const result = transform.apply(
            generate(width, height, "gradient"),
            transform.draw(createRandom(width), width, height),
          );
          expect([result.height, result.width, result.data.length]).toEqual([...size, size[0] * size[1] * 3]);
        }
      }
    }
  });

  it("does what the draw says: shifted by the crop, black outside, then mirrored", () => {
    const transform = createTransform({ mode: "train", size: [32, 32] });
    const image = generate(32, 32, "noise");
    const region = { left: -3, top: 2, width: 32, height: 32 };
    const shifted = transform.apply(image, [{ op: "crop", region }]);
    expect(shifted).toEqual(crop(image, region));
    expect([...shifted.data.subarray(0, 9)]).toEqual(Array.from({ length: 9 }, () => 0));
    expect([...shifted.data.subarray(9, 12)]).toEqual([...image.data.subarray(2 * 96, 2 * 96 + 3)]);
    const mirrored = transform.apply(image, [{ op: "crop", region }, { op: "flip" }]);
    expect([...mirrored.data.subarray(93, 96)]).toEqual([0, 0, 0]);
  });

  it("makes an image again from its draw, through JSON", () => {
    const transform = createTransform({ mode: "train", size: [40, 40] });
    const image = generate(90, 70, "noise");
    const draw = transform.draw(createRandom(3, "sample", 1, 2, 0), 90, 70);
    expect(transform.apply(image, JSON.parse(JSON.stringify(draw)) as Draw)).toEqual(
      transform.apply(image, draw),
    );
    expect(transform.draw(createRandom(3, "sample", 1, 2, 0), 90, 70)).toEqual(draw);
  });

  it("keeps the crops when the flip is switched off, and flips with the probability asked for", () => {
    let flips = 0;
    for (let seed = 0; seed < 2000; seed++) {
      const [first, second] = once({ mode: "train", size: [40, 40] }, 90, 70, seed);
      expect(once({ mode: "train", size: [40, 40], flip: 0 }, 90, 70, seed)).toEqual([first]);
      if (second) flips++;
    }
    expect(Math.abs(flips - 1000)).toBeLessThan(100);
    expect(once({ mode: "train", size: [40, 40], flip: 1, crop: { kind: "centre" } }, 40, 40)).toEqual([
      { op: "flip" },
    ]);
  });
});

describe("planes", () => {
  it("go to their place in the batch and back", () => {
    const image = generate(5, 4, "noise");
    const batch = new Uint8Array(2 * 60);
    writePlanar(image, batch, 60);
    expect(batch.subarray(0, 60).every((x) => x === 0)).toBe(true);
    expect(batch[60 + 20 + 7]).toBe(image.data[7 * 3 + 1]);
    expect(readPlanar(batch, { width: 5, height: 4, offset: 60 })).toEqual(image);
  });
});
