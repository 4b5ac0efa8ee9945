/** Evaluation and prediction with whole models: batches, heads, names; and the real DeiT-Ti on real images. */
import { existsSync } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { evaluationTransform } from "../../src/augmentation/preprocessing.ts";
import { workerPool } from "../../src/data/loading/loader-pool.ts";
import { createLoader } from "../../src/data/loading/loader.ts";
import { openEvaluation } from "../../src/data/open.ts";
import { createPlan } from "../../src/data/loading/epoch-plan.ts";
import { ConfigError } from "../../src/errors.ts";
import { evaluate } from "../../src/evaluation/evaluate.ts";
import { evaluateCheckpoint } from "../../src/evaluation/measure-checkpoints.ts";
import type { EvaluateEvent } from "../../src/evaluation/logits.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { predict } from "../../src/evaluation/predict.ts";
import type { PredictEvent } from "../../src/evaluation/predict.ts";
import { evaluationProgram, headLogits } from "../../src/evaluation/evaluation-program.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/safetensors-file.ts";
import { createLayout, decayGroups, packTensors } from "../../src/nn/parameters.ts";
import { createRuntime } from "../../src/runtime/node.ts";
import type { Executable } from "../../src/runtime/runtime.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writeRandomModel } from "../helpers/random-model.ts";
import { CLASSES, writePhotos } from "../training/photos.ts";

let root = "";
let photos = "";
/** A distilled model with random weights that knows its classes. */
let checkpoint = "";
/** The same without a word of what it is. */
let bare = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"), { perClass: 7 });
  checkpoint = join(root, "model.safetensors");
  const tensors = await writeRandomModel(checkpoint, { ...BARE, classes: CLASSES });
  bare = join(root, "bare.safetensors");
  await writeCheckpoint(bare, { tensors, metadata: {} });
});

/** What has to be said of the bare one. */
const BARE = { model: "deit_w64d4_distilled_patch4_32", inputSize: 16 } as const;
const CPU = { device: "cpu", threads: 1, workers: 0 } as const;

describe("evaluateCheckpoint", () => {
  test("gives the same numbers whatever the batch size: padding does not count", async () => {
    const events: EvaluateEvent[] = [];
    const one = await evaluateCheckpoint({ checkpoint, dataPath: photos, batchSize: 1, ...CPU });
    const some = await evaluateCheckpoint(
      { checkpoint, dataPath: photos, batchSize: 8, ...CPU, workers: 2 },
      { onEvent: (event) => events.push(event) },
    );
    const all = await evaluateCheckpoint({ checkpoint, dataPath: photos, batchSize: 64, ...CPU });
    for (const result of [some, all]) {
      expect(result).toMatchObject({
        model: "deit_w64d4_distilled_patch4_32",
        images: 21,
        acc1: one.acc1,
        acc5: 100,
      });
      for (const head of ["class", "distillation", "joint"] as const) {
        expect(result.heads[head]?.acc1).toBe(one.heads[head]?.acc1);
        expect(result.heads[head]?.loss).toBeCloseTo(one.heads[head]?.loss ?? Number.NaN, 5);
      }
      expect(result.loss).toBe(result.heads.joint?.loss);
    }
    expect(one.heads.class.loss).not.toBeCloseTo(one.heads.distillation?.loss ?? Number.NaN, 3);
    expect(events).toEqual([8, 16, 21].map((done) => ({ type: "evaluate", done, total: 21 })));
  });

  test("sees what the checkpoint's crop ratio says, unless told otherwise", async () => {
    const own = await evaluateCheckpoint({ checkpoint, dataPath: photos, ...CPU });
    const same = await evaluateCheckpoint({ checkpoint, dataPath: photos, evalCropRatio: 1, ...CPU });
    const other = await evaluateCheckpoint({ checkpoint, dataPath: photos, evalCropRatio: 0.5, ...CPU });
    expect(same.loss).toBe(own.loss);
    expect(other.loss).not.toBe(own.loss);
  });

  test("names images that cannot be read and leaves them out", async () => {
    const broken = await writePhotos(join(root, "broken"), { perClass: 3 });
    await writeFile(join(broken, "ring/bad.jpg"), "no image");
    const warnings: string[] = [];
    const { images } = await evaluateCheckpoint(
      { checkpoint, dataPath: broken, ...CPU },
      { onEvent: (event) => event.type === "warning" && warnings.push(event.message) },
    );
    expect([images, warnings]).toEqual([9, [expect.stringContaining("bad.jpg")]]);
  });

  test("refuses labels beyond the model's classes, and stops when it is told to", async () => {
    const csv = join(root, "csv");
    await mkdir(csv);
    await copyFile(join(photos, "disc/0.png"), join(csv, "a.png"));
    await writeFile(join(csv, "labels.csv"), "file,class_index\na.png,5\n");
    const options = { ...BARE, checkpoint: bare, dataPath: csv, ...CPU };
    await expect(evaluateCheckpoint(options)).rejects.toThrow(ConfigError);
    await expect(evaluateCheckpoint(options)).rejects.toThrow(
      /has class 5, but .*bare\.safetensors knows 3 classes/,
    );
    const signal = AbortSignal.abort();
    await expect(evaluateCheckpoint({ checkpoint, dataPath: photos, ...CPU }, { signal })).rejects.toThrow(
      "aborted",
    );
  });
});

describe("predict", () => {
  const images = (...names: string[]): string[] => names.map((name) => join(photos, name));

  test("answers each image with the class names, best first, and scores that add up to 1", async () => {
    const results = await predict({ checkpoint, images: images("disc/0.png", "ring/1.png"), device: "cpu" });
    expect(results.map(({ image }) => image)).toEqual(images("disc/0.png", "ring/1.png"));
    for (const { predictions } of results) {
      expect(predictions.map(({ label }) => label).toSorted()).toEqual(CLASSES);
      for (const { index, label } of predictions) expect(label).toBe(CLASSES[index]);
      const scores = predictions.map(({ score }) => score);
      expect(scores).toEqual(scores.toSorted((a, b) => b - a));
      expect(scores.reduce((sum, score) => sum + score, 0)).toBeCloseTo(1, 10);
    }
    expect(results[0]?.predictions).not.toEqual(results[1]?.predictions);
  });

  test("agrees with the evaluation of the same images", async () => {
    const files = CLASSES.flatMap((name) => Array.from({ length: 7 }, (_, i) => `${name}/${i}.png`));
    const results = await predict({ checkpoint, images: images(...files), topk: 1, device: "cpu" });
    const right = results.filter(({ predictions }, i) => predictions[0]?.index === Math.floor(i / 7)).length;
    const { acc1 } = await evaluateCheckpoint({ checkpoint, dataPath: photos, ...CPU });
    expect((100 * right) / 21).toBeCloseTo(acc1, 10);
  });

  test("takes names from its caller, and calls classes by number without any", async () => {
    const options = {
      ...BARE,
      checkpoint: bare,
      images: images("disc/0.png"),
      topk: 1,
      device: "cpu",
    } as const;
    const [unnamed] = await predict(options);
    const best = unnamed?.predictions[0];
    expect(best?.label).toBe(`class ${best?.index}`);
    const [named] = await predict({ ...options, classes: ["a", "b", "c"] });
    expect(named?.predictions[0]?.label).toBe(["a", "b", "c"][best?.index ?? -1]);
  });

  test("searches folders and globs, and answers the same in batches and threads as one by one", async () => {
    const files = CLASSES.flatMap((name) => Array.from({ length: 7 }, (_, i) => `${name}/${i}.png`));
    const one = await predict({ checkpoint, images: images(...files), batchSize: 1, ...CPU });
    const events: PredictEvent[] = [];
    const some = await predict(
      { checkpoint, images: [photos], batchSize: 8, ...CPU, workers: 2 },
      { onEvent: (event) => events.push(event) },
    );
    const matched = await predict({ checkpoint, images: [join(photos, "*/*.png")], batchSize: 64, ...CPU });
    for (const results of [some, matched]) {
      expect(results.map(({ image }) => image)).toEqual(images(...files));
      for (const [i, { predictions }] of results.entries()) {
        const expected = one[i]?.predictions ?? [];
        expect(predictions.map(({ index }) => index)).toEqual(expected.map(({ index }) => index));
        for (const [k, { score }] of predictions.entries())
          expect(score).toBeCloseTo(expected[k]?.score ?? NaN, 6);
      }
    }
    expect(events).toEqual([8, 16, 21].map((done) => ({ type: "predict", done, total: 21 })));
  });

  test("tells what cannot be read, and answers the others", async () => {
    const mixed = join(root, "mixed");
    await mkdir(mixed);
    await copyFile(join(photos, "disc/0.png"), join(mixed, "b.png"));
    await copyFile(join(photos, "ring/0.png"), join(mixed, "d.png"));
    for (const name of ["a.png", "c.png"]) await writeFile(join(mixed, name), "no image");
    const warnings: string[] = [];
    const results = await predict(
      { checkpoint, images: [mixed, join(mixed, "e.png"), join(mixed, "*.gif")], batchSize: 2, ...CPU },
      { onEvent: (event) => event.type === "warning" && warnings.push(event.message) },
    );
    const alone = await predict({ checkpoint, images: images("disc/0.png", "ring/0.png"), ...CPU });
    expect(results.map(({ image }) => image)).toEqual([join(mixed, "b.png"), join(mixed, "d.png")]);
    for (const [i, { predictions }] of results.entries())
      expect(predictions[0]?.score).toBeCloseTo(alone[i]?.predictions[0]?.score ?? NaN, 6);
    expect(warnings).toEqual([
      expect.stringMatching(/there is no file or folder .*e\.png/),
      expect.stringMatching(/no image matches .*\*\.gif/),
      expect.stringMatching(/a\.png is not a whole image/),
      expect.stringMatching(/c\.png is not a whole image/),
    ]);
  });

  test("is an error when there is nothing to answer, and stops when it is told to", async () => {
    const note = join(root, "note.png");
    await writeFile(note, "no image");
    await expect(predict({ checkpoint, images: [note, note], ...CPU })).rejects.toThrow(
      /none of 2 images can be read: .*note\.png is not a whole image/,
    );
    const empty = join(root, "empty");
    await mkdir(empty);
    await expect(predict({ checkpoint, images: [empty], ...CPU })).rejects.toThrow(
      /the folder .*empty holds no images\n.*quoted glob/,
    );
    const signal = AbortSignal.abort();
    await expect(predict({ checkpoint, images: [photos], ...CPU }, { signal })).rejects.toThrow("aborted");
  });

  test("names a file that is not an image", async () => {
    await writeFile(join(root, "note.jpg"), "no image");
    await expect(predict({ checkpoint, images: [join(root, "note.jpg")] })).rejects.toThrow(
      /note\.jpg is not a whole image/,
    );
  });
});

const data = new URL("../../../../../shared/data/", import.meta.url);
describe.skipIf(!existsSync(data))("the real DeiT-Ti on 650 real images (needs ../shared/data)", () => {
  const path = (name: string): string => fileURLToPath(new URL(name, data));

  test(
    "answers as PyTorch did: every top-1 the same, logits within 0.002",
    { timeout: 240_000 },
    async () => {
      const { model, tensors, preprocessing } = await loadModel(
        path("deit_tiny_patch16_224/model.safetensors"),
        {
          model: "deit_tiny_patch16_224",
        },
      );
      const recorded = (
        await readCheckpoint(path("imagenet_val_650/deit_tiny_logits.safetensors"))
      ).tensors.get("logits");
      const expected = recorded?.data ?? new Float32Array();
      const dataset = await openEvaluation({ dataPath: path("imagenet_val_650") });
      const batchSize = 16; // 650 are 40 batches and 10 more
      const loader = createLoader({
        dataset,
        transform: evaluationTransform(preprocessing),
        plan: createPlan({ mode: "evaluation", length: dataset.length, batchSize }),
        pool: workerPool(1),
      });
      const runtime = await createRuntime({ device: "cpu", threads: availableParallelism() });
      try {
        const layout = createLayout(model.parameters, { groupOf: decayGroups(model.noWeightDecay) });
        for (const [name, vector] of Object.entries(packTensors(layout, tensors)))
          await runtime.setState(`W.${name}`, vector);
        const executable = await runtime.load(
          evaluationProgram({
            model,
            layout,
            batchSize,
            target: runtime.target,
            normalisation: preprocessing,
          }),
        );
        const logits: number[] = [];
        const recording: Executable = {
          ...executable,
          run: async (feeds) => {
            const outputs = await executable.run(feeds);
            logits.push(...headLogits(outputs).class);
            return outputs;
          },
        };
        const { acc1, acc5 } = await evaluate({
          executable: recording,
          loader,
          numClasses: 1000,
          total: dataset.length,
        });
        expect([acc1.toFixed(4), acc5.toFixed(4)]).toEqual(["82.1538", "96.1538"]);

        const top1 = (all: ArrayLike<number>, row: number): number => {
          const values = Array.from({ length: 1000 }, (_, k) => all[row * 1000 + k] ?? Number.NaN);
          return values.indexOf(Math.max(...values));
        };
        const rows = [...Array(650).keys()];
        expect(rows.filter((row) => top1(logits, row) !== top1(expected, row))).toEqual([]);
        const largest = expected.reduce(
          (most, value, i) => Math.max(most, Math.abs(value - (logits[i] ?? Number.NaN))),
          0,
        );
        expect(largest).toBeLessThan(0.002);
        console.info(`largest difference of a logit: ${largest}`);
      } finally {
        await Promise.all([loader.close(), runtime.close()]);
      }
    },
  );
});
