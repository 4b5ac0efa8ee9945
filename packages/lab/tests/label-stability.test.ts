/** What a teacher decides on views and mixtures, on generated images and a teacher trained on them. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import type { LabelStability } from "../src/label-stability.ts";
import { measureLabelStability } from "../src/label-stability.ts";
import { temporaryFolder } from "../../deit/tests/data/temporary.ts";
import { graphFile } from "../../deit/tests/helpers/onnx-graph.ts";
import { CLASSES, tinyRun, train, writePhotos } from "../../deit/tests/training/photos.ts";

let teacher = "";
let photos = "";
beforeAll(async () => {
  const root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"));
  teacher = join(root, "teacher");
  await train(tinyRun({ dataPath: photos, outputDir: teacher, epochs: 4 }));
});

async function measure(changes: object = {}): Promise<LabelStability> {
  return measureLabelStability({ checkpoint: teacher, dataPath: photos, views: 3, ...changes });
}

test("rates of all views and mixtures add up, and the same seed gives the same", async () => {
  const result = await measure();
  expect(result.images).toBe(60);
  const [whole, crop, augmented] = result.views;
  expect(whole).toEqual({ view: "whole image", changed: 0, wrong: expect.any(Number), imagesChanged: 0 });
  expect(whole?.wrong).toBeLessThan(0.4); // two thirds is chance
  for (const view of [crop, augmented]) {
    expect(view?.changed).toBeGreaterThan(0);
    expect(view?.imagesChanged).toBeGreaterThanOrEqual(view?.changed ?? 1);
    expect(view?.wrong).toBeLessThan(1);
  }
  for (const { larger, smaller, neither } of result.mixes) {
    expect(larger + smaller + neither).toBeCloseTo(1, 9);
    expect(larger).toBeGreaterThan(smaller);
  }
  expect(await measure()).toEqual(result);
});

test("fewer images, when asked for", async () => {
  expect((await measure({ images: 5 })).images).toBe(5);
});

test("what is assumed of a foreign teacher is said", async () => {
  const checkpoint = join(photos, "../teacher.onnx");
  const matrix = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ];
  await writeFile(checkpoint, graphFile({ matrix, metadata: { classes: JSON.stringify(CLASSES) } }));
  const said: string[] = [];
  await measureLabelStability(
    { checkpoint, dataPath: photos, views: 1, images: 3, device: "cpu" },
    { onEvent: (event) => event.type === "warning" && said.push(event.message) },
  );
  expect(said[0]).toMatch(/teacher\.onnx does not specify preprocessing: assumed shorter side to 9/);
});
