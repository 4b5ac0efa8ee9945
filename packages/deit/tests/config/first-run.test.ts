import { describe, expect, it } from "vitest";
import { firstRunDefaults, guessRate } from "../../src/config/first-run.ts";
import { parseTrainOptions } from "../../src/config/resolve.ts";

const twoCores = guessRate(2);

describe("the first run", () => {
  it("takes a wider model for few images, the smallest for many", () => {
    const few = firstRunDefaults({ images: 500, medianSize: 32, imagesPerSecondEstimate: twoCores });
    const many = firstRunDefaults({ images: 50_000, medianSize: 32, imagesPerSecondEstimate: twoCores });
    expect(few.model).toBe("deit_w128d6_patch4_32");
    expect(many).toMatchObject({ model: "deit_w64d4_patch4_32", inputSize: 32, epochs: 4, crop: "padded" });
  });

  it("looks at photographs in 64 pixels while that leaves enough epochs", () => {
    expect(
      firstRunDefaults({ images: 1500, medianSize: 224, imagesPerSecondEstimate: twoCores }),
    ).toMatchObject({ inputSize: 64, crop: "resized" });
    expect(
      firstRunDefaults({ images: 100_000, medianSize: 224, imagesPerSecondEstimate: twoCores }),
    ).toMatchObject({ inputSize: 32, crop: "padded" });
  });

  it.each([1, 5, 30, 63, 64, 600, 5000, 60_000, 1_300_000])(
    "has full batches and valid options for %d images",
    (images) => {
      for (const medianSize of [0, 28, 500]) {
        const defaults = firstRunDefaults({ images, medianSize, imagesPerSecondEstimate: twoCores });
        expect(defaults.batchSize).toBeLessThanOrEqual(images);
        expect(defaults.epochs).toBeGreaterThanOrEqual(1);
        expect(defaults.warmupEpochs).toBeLessThan(defaults.epochs);
        expect(() => parseTrainOptions({ dataPath: "photos", ...defaults })).not.toThrow();
      }
    },
  );

  it("stays within about five minutes by its own estimate, unless one epoch takes longer", () => {
    for (const images of [100, 3000, 40_000]) {
      const { model, epochs, inputSize } = firstRunDefaults({
        images,
        medianSize: 32,
        imagesPerSecondEstimate: 700,
      });
      const cost =
        { deit_w64d4_patch4_32: 1, deit_w96d6_patch4_32: 2.8, deit_w128d6_patch4_32: 4.2 }[model] ??
        Number.NaN;
      expect(inputSize).toBe(32);
      expect((images * epochs * cost) / 700).toBeLessThanOrEqual(300);
    }
  });
});
