/** Frozen features, nearest neighbours and the linear probe. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { fitLogistic, logitsOf } from "../../deit/src/evaluation/logistic-regression.ts";
import { nearestNeighbours } from "deit-ts/models";
import { linearProbe, probe } from "../src/probe.ts";
import type { Features } from "../../deit/src/evaluation/classifier.ts";
import { createRandom } from "../../deit/src/random.ts";
import { temporaryFolder } from "../../deit/tests/data/temporary.ts";
import { tinyRun, train, writePhotos } from "../../deit/tests/training/photos.ts";

interface Golden {
  readonly width: number;
  readonly classes: number;
  readonly data: readonly number[];
  readonly labels: readonly number[];
  readonly cases: readonly {
    readonly l2: number;
    readonly logits: readonly (readonly number[])[];
    readonly acc1: number;
  }[];
}
const golden = JSON.parse(
  await readFile(new URL("../../deit/tests/golden/logistic/logistic.json", import.meta.url), "utf8"),
) as Golden;

describe("logistic regression is scikit-learn's", () => {
  const { width, classes: numClasses } = golden;
  const rows = {
    data: Float64Array.from(golden.data),
    labels: Int32Array.from(golden.labels),
    width,
    numClasses,
  };
  test.each(golden.cases)("λ = $l2", ({ l2, logits }) => {
    const weights = fitLogistic(rows, { l2 });
    const found = logitsOf(rows, weights);
    // a constant added to all logits of an image is not a difference
    for (const [row, expected] of logits.entries()) {
      const own = [...found.subarray(row * numClasses, (row + 1) * numClasses)];
      const centred = (values: readonly number[]): number[] =>
        values.map((value) => value - values.reduce((sum, other) => sum + other, 0) / values.length);
      for (const [k, logit] of centred(own).entries())
        expect(logit).toBeCloseTo(centred(expected)[k] ?? NaN, 3);
    }
  });

  test("a start changes nothing but the time", () => {
    const weights = fitLogistic(rows, { l2: 0.1 });
    const again = fitLogistic(rows, { l2: 0.1, start: fitLogistic(rows, { l2: 1 }) });
    for (const [i, w] of weights.entries()) expect(again[i]).toBeCloseTo(w, 3);
  });
});

/** Points around a centre for each class. */
function clouds(perClass: number, spread: number, seed: number): Features {
  const centres = createRandom(1, "centres");
  const width = 12;
  const numClasses = 5;
  const middle = Array.from({ length: numClasses * width }, () => centres.normal());
  const random = createRandom(seed);
  const labels = Int32Array.from({ length: perClass * numClasses }, (_, i) => i % numClasses);
  const data = Float32Array.from({ length: labels.length * width }, (_, i) => {
    const label = labels[Math.floor(i / width)] ?? 0;
    return (middle[label * width + (i % width)] ?? 0) + spread * random.normal();
  });
  return { data, width, labels };
}

test("both probes find what is there, and chance where nothing is", () => {
  const [learnt, asked] = [clouds(30, 0.3, 2), clouds(20, 0.3, 3)];
  expect(nearestNeighbours(learnt, asked, 5).acc1).toBe(100);
  expect(linearProbe(learnt, asked, 5)).toMatchObject({ acc1: 100, acc5: 100 });
  const noise = clouds(30, 50, 4);
  expect(nearestNeighbours(noise, asked, 5).acc1).toBeLessThan(60);
  const wide = clouds(30, 1.5, 5);
  expect(linearProbe(wide, clouds(60, 1.5, 6), 5).acc1).toBeGreaterThan(
    nearestNeighbours(wide, clouds(60, 1.5, 6), 5).acc1 - 5,
  );
});

describe("probe", () => {
  let root = "";
  let photos = "";
  beforeAll(async () => {
    root = await temporaryFolder();
    photos = await writePhotos(join(root, "photos"));
  });

  test.each(["deit_w64d4_patch4_32", "deit_w64d4_distilled_patch4_32"])(
    "of a trained %s does as well as its head",
    async (model) => {
      const run = join(root, model);
      const changes = model.includes("distilled") ? ({ distillationType: "labels" } as const) : {};
      const { best } = await train(
        tinyRun({ dataPath: photos, outputDir: run, epochs: 4, model, ...changes }),
      );
      const result = await probe({
        checkpoint: run,
        dataPath: photos,
        valSplit: 0.2,
        device: "cpu",
        threads: 1,
      });
      expect(result).toMatchObject({ model, inputSize: [16, 16], trainImages: 48, images: 12 });
      expect(result.knn.acc1).toBeGreaterThan(best.acc1 - 35);
      expect(result.linear.acc1).toBeGreaterThan(best.acc1 - 35);
    },
  );

  test("a convnet's pooled features are measured, too, and images to measure with are wanted", async () => {
    const run = join(root, "convnet");
    await train(tinyRun({ dataPath: photos, outputDir: run, epochs: 1, model: "resnet20_cifar" }));
    const result = await probe({ checkpoint: run, dataPath: photos });
    expect(result).toMatchObject({ model: "resnet20_cifar", knn: { k: 5 } });
    await expect(
      probe({ checkpoint: join(root, "deit_w64d4_patch4_32"), dataPath: photos, valSplit: 0 }),
    ).rejects.toThrow(/no images to measure with\nGive a folder with val/);
  });
});
