/** Training with what only code can give: images in memory, a transform, a teacher, metrics. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { LabelledImage } from "../../src/api/create-dataset.ts";
import { createDataset } from "../../src/api/create-dataset.ts";
import { estimate, resume, train } from "../../src/api/train.ts";
import type { TrainRequest } from "../../src/api/train.ts";
import type { TeacherImages } from "../../src/distillation/teacher-function.ts";
import type { Answers } from "../../src/evaluation/own-metrics.ts";
import { readRun } from "../../src/training/run/run-folder.ts";
import type { TrainEvent } from "../../src/training/train.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writePhotos } from "../training/photos.ts";

const SMALL = {
  model: "deit_w64d4_patch4_32",
  inputSize: 16,
  batchSize: 8,
  epochs: 2,
  repeatedAug: false,
  modelEma: false,
  device: "cpu",
  threads: 1,
  workers: 0,
  saveMinutes: null,
} satisfies TrainRequest;

let root = "";
/** The images of a folder, in its order, as bytes. */
const images: LabelledImage[] = [];
beforeAll(async () => {
  root = await temporaryFolder();
  const photos = await writePhotos(join(root, "photos"), { perClass: 12 });
  for (const label of (await readdir(photos)).toSorted()) {
    const names = (await readdir(join(photos, label))).toSorted();
    for (const name of names)
      images.push({ image: await readFile(join(photos, label, name)), label, name: `${label}/${name}` });
  }
});

const run = (name: string): string => join(root, "runs", name);
/** Without what no two runs have in common. */
const logOf = async (folder: string): Promise<readonly unknown[]> =>
  (await readRun(folder)).log.map((record) =>
    Object.fromEntries(Object.entries(record).filter(([key]) => !key.endsWith("seconds"))),
  );

describe("images in memory", () => {
  test("train as those of a folder do, number for number", { timeout: 120_000 }, async () => {
    await train({ ...SMALL, dataPath: join(root, "photos"), outputDir: run("folder") });
    await train({ ...SMALL, images, outputDir: run("memory") });
    expect(await logOf(run("memory"))).toEqual(await logOf(run("folder")));
    expect((await readRun(run("memory"))).args).toMatchObject({ dataPath: "memory:images" });
  });

  test("come from an async iterable, with validation images of their own, and are needed again", async () => {
    const held = images.filter((_, i) => i % 4 === 0);
    async function* others(): AsyncGenerator<LabelledImage> {
      yield* images.filter((_, i) => i % 4 !== 0);
    }
    const folder = run("stream");
    const controller = new AbortController();
    const onEvent = ({ type }: TrainEvent): void => {
      if (type === "step") controller.abort();
    };
    const input = { ...SMALL, images: others(), validation: held, outputDir: folder };
    await expect(train(input, { onEvent, signal: controller.signal })).rejects.toMatchObject({
      name: "InterruptedError",
      code: "run/interrupted",
    });
    await expect(resume(folder)).rejects.toMatchObject({ code: "data/in-memory" });
    const result = await resume(folder, { images: others(), validation: held });
    expect(result.best.images).toBe(9);
    expect((await readRun(folder)).log).toHaveLength(2);
  });

  test("are also estimated, and chosen a model for", async () => {
    const notes: string[] = [];
    const tiny = { images, epochs: 1, batchSize: 8, device: "cpu", threads: 1, saveMinutes: null } as const;
    await train(
      { ...tiny, outputDir: run("chosen") },
      { onEvent: (event) => void (event.type === "note" && notes.push(event.message)) },
    );
    expect(notes[0]).toMatch(/^chosen for these images: deit_w128d6_patch4_32/);
    expect((await estimate({ ...SMALL, images })).stepsPerEpoch).toBe(4);
  });

  test.each([
    [{ images: [] }, "data/no-images"],
    [{ images: [{ image: "a.jpg" }] }, "data/bad-row"],
    [{ images: [{ image: "a.jpg", label: "a" }] }, "data/one-class"],
    [
      {
        images: [
          { image: "a.jpg", label: "a" },
          { image: "b.jpg", label: 1 },
        ],
      },
      "data/bad-label",
    ],
    [{ images: [{ image: "a.jpg", label: "a" }], classes: ["b", "c"] }, "data/unknown-class"],
    [{ images: [{ image: "a.jpg", label: 7 }], classes: ["b", "c"] }, "data/bad-label"],
    [{ images: [{ image: "a.jpg", label: 0 }], classes: ["b", "c"], dataPath: "photos" }, "options/conflict"],
    [{ classes: ["b", "c"] }, "options/missing"],
  ])("refused: %j", async (input, code) => {
    await expect(train({ ...SMALL, ...input } as TrainRequest)).rejects.toMatchObject({ code });
  });

  test("a dataset of raw pixels, a path and a function", async () => {
    const raw = { width: 2, height: 1, data: new Uint8Array([1, 2, 3, 4, 5, 6]) };
    const path = join(root, "photos/disc/0.png");
    const dataset = await createDataset([
      { image: raw, label: 1 },
      { image: path, label: 0 },
      { image: async () => raw, label: 1, name: "later" },
    ]);
    expect(dataset.classes).toEqual(["0", "1"]);
    expect([0, 1, 2].map((i) => dataset.describe(i))).toEqual(["image 0", path, "later"]);
    expect(await dataset.read(2)).toEqual(raw);
    expect((await dataset.read(1)).width).toBeGreaterThan(7);
  });
});

describe("functions", () => {
  test("a transform sees each training image, draws the same when a run is resumed, and is checked", async () => {
    const seen: string[] = [];
    const input: TrainRequest = {
      ...SMALL,
      images,
      transform(image, { random, epoch, label, name }) {
        seen.push(`${epoch} ${label} ${name} ${random.integer(1e6)}`);
        return { ...image, data: image.data.map((value) => 255 - value) };
      },
    };
    await train({ ...input, outputDir: run("inverted") });
    const first = seen.splice(0);
    expect(new Set(first).size).toBe(first.length);
    expect(first.every((line) => /^[01] [012] (disc|ring|stripes)\/\d+\.png \d+$/.test(line))).toBe(true);
    const half = { ...input, epochs: 1, outputDir: run("inverted-halves") };
    await train(half);
    await resume(run("inverted-halves"), { ...input, epochs: 2 });
    expect(seen.toSorted()).toEqual(first.toSorted());
    expect(await logOf(run("inverted"))).not.toEqual(await logOf(run("memory")));
    const wrong = { ...SMALL, images, outputDir: run("wrong"), transform: () => ({ width: 4, height: 4 }) };
    await expect(train(wrong as unknown as TrainRequest)).rejects.toMatchObject({ code: "data/image-size" });
  });

  test("a teacher answers for batches, and is needed again", async () => {
    const shapes: string[] = [];
    /** Says class 0 of whatever it sees. */
    const teacher = ({ pixels, shape }: TeacherImages): Float32Array => {
      shapes.push(`${shape.join()} ${pixels.length}`);
      return Float32Array.from({ length: 3 * shape[0] }, (_, i) => (i % 3 === 0 ? 9 : 0));
    };
    const input = {
      ...SMALL,
      model: "deit_w64d4_patch4_32",
      distillationHead: "class",
      distillationType: "hard",
      distillationAlpha: 1,
      lr: 5e-3,
      images,
    } satisfies TrainRequest;
    const folder = run("taught");
    await train({ ...input, teacher, outputDir: folder });
    expect(new Set(shapes)).toEqual(new Set(["8,3,16,16 6144"]));
    const { args, log } = await readRun(folder);
    expect(args).toMatchObject({ teacherPath: "function:teacher" });
    expect(log.at(-1)).toHaveProperty("train_distillation_loss");
    await expect(resume(folder, { images, epochs: 3 })).rejects.toMatchObject({ code: "teacher/not-given" });
    const short = { ...input, teacher: () => new Float32Array(5), outputDir: run("short") };
    await expect(train(short)).rejects.toMatchObject({ code: "teacher/wrong-answer" });
    const cached = { ...input, teacher, teacherCache: run("cache"), outputDir: run("cached") };
    await expect(train(cached)).rejects.toMatchObject({ code: "options/conflict" });
  });

  test("metrics are in events and log", async () => {
    /** Percent of wrong answers, as acc1 counts right ones. */
    const error = ({ logits, labels, numClasses }: Answers): number => {
      const wrong = labels.filter((label, i) => {
        const row = logits.subarray(i * numClasses, (i + 1) * numClasses);
        return row.indexOf(Math.max(...row)) !== label;
      });
      return (100 * wrong.length) / labels.length;
    };
    const events: (TrainEvent & { type: "epoch" })[] = [];
    const input = { ...SMALL, images, valSplit: 0.25, metrics: { error }, outputDir: run("measured") };
    await train(input, { onEvent: (event) => void (event.type === "epoch" && events.push(event)) });
    const { log } = await readRun(run("measured"));
    expect(events).toHaveLength(2);
    for (const [i, { acc1, metrics }] of events.entries()) {
      expect(metrics?.["error"]).toBeCloseTo(100 - acc1, 9);
      expect(log[i]?.["test_error"]).toBe(metrics?.["error"]);
    }
    const named = { ...SMALL, images, metrics: { acc1: error }, outputDir: run("named") };
    await expect(train(named)).rejects.toMatchObject({ code: "options/metric-name" });
    const text = { ...SMALL, images, metrics: { text: () => "much" }, outputDir: run("text") };
    await expect(train(text as unknown as TrainRequest)).rejects.toMatchObject({ code: "metrics/no-number" });
  });
});
