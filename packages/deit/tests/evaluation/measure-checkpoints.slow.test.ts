/** Whole evaluations of one and of several checkpoints: what they tell, and what they write. */
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { writeEvaluation } from "../../src/report/evaluation-files.ts";
import { describeComparison, describeReport } from "../../src/cli/views/evaluation-view.ts";
import { mainAnswers } from "../../src/evaluation/metrics/answer-sheet.ts";
import type { EvaluateEvent } from "../../src/evaluation/logits.ts";
import { evaluationDocument } from "../../src/evaluation/evaluation-document.ts";
import type { MeasureCheckpointsOptions } from "../../src/evaluation/measure-checkpoints.ts";
import { comparisonReport, measureCheckpoints } from "../../src/evaluation/measure-checkpoints.ts";
import { shareOf, shareReport } from "../../src/evaluation/metrics/share.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writeRandomModel } from "../helpers/random-model.ts";
import { CLASSES, writePhotos } from "../training/photos.ts";

/** Wilson's interval, not the bootstrap's: of width 0 when all are right. */
const shareReportOf = (acc1: number): object => {
  const { correct, interval } = shareReport(shareOf(acc1, 24));
  return { correct, interval: { level: 0.95, acc1: interval } };
};
const CPU = { device: "cpu", threads: 1, workers: 0, resamples: 200 } as const;
const PLAIN = "deit_w64d4_patch4_32";
const DISTILLED = "deit_w64d4_distilled_patch4_32";

let root = "";
let photos = "";
const at = (name: string): string => join(root, `${name}.safetensors`);

beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"), { perClass: 8 });
  await writeRandomModel(at("plain"), { model: PLAIN, classes: CLASSES, seed: 2 });
  await writeRandomModel(at("distilled"), { model: DISTILLED, classes: CLASSES, seed: 1 });
  await writeRandomModel(at("imagenet"), { model: PLAIN, numClasses: 1000, seed: 3 });
}, 60_000);

const measure = async (
  options: Partial<MeasureCheckpointsOptions> & { checkpoints: readonly string[] },
  onEvent?: (event: EvaluateEvent) => void,
): ReturnType<typeof measureCheckpoints> =>
  measureCheckpoints({ dataPath: photos, ...CPU, ...options }, { onEvent });

describe("one checkpoint", () => {
  test("tells its figures under the documented keys, and more", { timeout: 60_000 }, async () => {
    const measured = await measure({ checkpoints: [at("distilled")], topk: [2], confusions: 2 });
    const [{ report, answers } = { report: undefined, answers: undefined }] = measured.models;
    if (report === undefined || answers === undefined) throw new Error("nothing was measured");
    expect(report).toMatchObject({
      model: DISTILLED,
      dataset: "photos",
      images: 24,
      classes: 3,
      inputSize: [16, 16],
      cropRatio: 1,
      heads: { class: { acc5: 100 }, distillation: {}, joint: { acc1: report.acc1 } },
    });
    const { predicted, rank } = mainAnswers(answers);
    const within = (k: number): number => (100 * rank.filter((place) => place < k).length) / 24;
    expect([report.acc1, report.topk]).toEqual([within(1), { 2: within(2) }]);
    const [low = 0, high = 0] = report.interval?.acc1 ?? [];
    expect(low).toBeLessThanOrEqual(report.acc1);
    expect(high).toBeGreaterThanOrEqual(report.acc1);
    expect(report).toMatchObject(shareReportOf(report.acc1));
    expect(report.perClass.map(({ class: name, images }) => [name, images])).toEqual(
      CLASSES.map((name) => [name, 8]),
    );
    expect(report.perClass.reduce((sum, { acc1 }) => sum + acc1, 0) / 3).toBeCloseTo(report.acc1, 9);
    expect(report.confusions.length).toBeLessThanOrEqual(2);
    expect(report.calibration.crossFitted?.loss).toBeGreaterThan(0);
    const document = evaluationDocument(measured, { confusionMatrix: true });
    expect(document).not.toHaveProperty("perClass");
    const counts = CLASSES.map((_, label) =>
      CLASSES.map(
        (_, answer) => answers.labels.filter((own, i) => own === label && predicted[i] === answer).length,
      ),
    );
    expect(document).toMatchObject({ acc1: report.acc1, confusionMatrix: { classes: CLASSES, counts } });
    expect(describeReport(report)).toContain("both, sum of softmaxes");
  });

  test(
    "another size and another crop give other answers, and the first is said",
    { timeout: 60_000 },
    async () => {
      const messages: string[] = [];
      const listen = (event: EvaluateEvent): void =>
        void (event.type === "warning" && messages.push(event.message));
      const own = await measure({ checkpoints: [at("plain")] });
      const larger = await measure({ checkpoints: [at("plain")], inputSize: 24, evalCropRatio: 0.8 }, listen);
      expect(larger.models[0]?.report).toMatchObject({ inputSize: [24, 24], cropRatio: 0.8 });
      expect(messages).toEqual([expect.stringMatching(/pos_embed is interpolated from 4 × 4 to 6 × 6/)]);
      expect(larger.models[0]?.report.loss).not.toBe(own.models[0]?.report.loss);
    },
  );

  test("can be held to the classes that the images are of", { timeout: 60_000 }, async () => {
    const folder = join(root, "ids");
    for (const [name, wnid] of [
      ["disc", "n02123045"],
      ["ring", "n15075141"],
    ] as const)
      for (let i = 0; i < 6; i++) {
        await mkdir(join(folder, wnid), { recursive: true });
        await copyFile(join(photos, name, `${i}.png`), join(folder, wnid, `${i}.png`));
      }
    const options = { checkpoints: [at("imagenet")], dataPath: folder, model: PLAIN, inputSize: 16 };
    const messages: string[] = [];
    const listen = (event: EvaluateEvent): void =>
      void (event.type === "warning" && messages.push(event.message));
    const free = await measure(options, listen);
    const held = await measure({ ...options, restrictClasses: true });
    expect(messages).toEqual([
      expect.stringMatching(/imagenet\.safetensors does not specify preprocessing: assumed/),
      expect.stringMatching(/of 2 of the 1000 classes; --restrict-classes/),
    ]);
    expect([...(free.models[0]?.answers.labels ?? [])]).toEqual([
      ...Array(6).fill(281),
      ...Array(6).fill(999),
    ]);
    expect(held.models[0]?.report).toMatchObject({ classes: 2, acc5: 100 });
    expect(held.models[0]?.report.perClass.map(({ class: name }) => name)).toEqual([
      "tabby, tabby cat",
      "toilet tissue, toilet paper, bathroom tissue",
    ]);
    // the same logits, of which two are left: who is preferred of them does not change
    const freeRanks = mainAnswers(free.models[0]?.answers ?? { heads: { class: EMPTY } });
    expect(held.models[0]?.report.acc1).toBeGreaterThanOrEqual(free.models[0]?.report.acc1 ?? 101);
    expect(freeRanks.rank.some((rank) => rank > 1)).toBe(true);
  });

  test("by ReaL's labels, too", { timeout: 60_000 }, async () => {
    const folder = join(root, "val");
    await mkdir(folder, { recursive: true });
    const names = [1, 2, 3].map((number) => `ILSVRC2012_val_0000000${number}.JPEG`);
    for (const [i, name] of names.entries())
      await copyFile(join(photos, "disc", `${i}.png`), join(folder, name));
    await writeFile(join(folder, "labels.csv"), names.map((name) => `${name},5\n`).join(""));
    const every = JSON.stringify(Array.from({ length: 1000 }, (_, k) => k));
    const real = join(root, "real.json");
    await writeFile(real, `[${every}, [], ${every}]`);
    const options = { checkpoints: [at("imagenet")], model: PLAIN, inputSize: 16, real };
    const { models } = await measure({ ...options, dataPath: folder });
    expect(models[0]?.report.images).toBe(3);
    expect(models[0]?.report.real).toEqual({
      images: 2,
      acc1: 100,
      acc5: 100,
      heads: { class: { acc1: 100, acc5: 100 } },
    });
    expect(models[0]?.report.perClass[0]?.class).toBe("electric ray, crampfish, numbfish, torpedo");
    await expect(measure({ checkpoints: [at("plain")], real })).rejects.toThrow(
      /ImageNet's 1,000 classes in their order, not for a model of other classes/,
    );
    await expect(measure({ ...options, dataPath: join(root, "ids") })).rejects.toThrow(
      /0\.png is not a validation image of ImageNet/,
    );
  });
});

const EMPTY = {
  predicted: new Int32Array(),
  confidence: new Float64Array(),
  truth: new Float64Array(),
  loss: new Float64Array(),
  rank: new Int32Array(),
};

describe("several checkpoints", () => {
  test(
    "answer the same images; differences are paired and of the second to the first",
    { timeout: 60_000 },
    async () => {
      const checkpoints = [`first=${at("plain")}`, `second=${at("distilled")}`, `again=${at("plain")}`];
      const measured = await measure({ checkpoints });
      const { models, differences } = comparisonReport(measured);
      expect(models.map(({ name, model }) => [name, model])).toEqual([
        ["first", PLAIN],
        ["second", DISTILLED],
        ["again", PLAIN],
      ]);
      expect(differences.map(({ from, to }) => [from, to])).toEqual([
        ["first", "second"],
        ["first", "again"],
        ["second", "again"],
      ]);
      const [toSecond, toItself] = differences;
      expect(toSecond?.acc1).toBeCloseTo((models[1]?.acc1 ?? 0) - (models[0]?.acc1 ?? 0), 9);
      expect(toSecond?.interval[0]).toBeLessThanOrEqual(toSecond?.acc1 ?? -1);
      expect(toSecond?.interval[1]).toBeGreaterThanOrEqual(toSecond?.acc1 ?? 1);
      expect(toItself).toEqual({ from: "first", to: "again", acc1: 0, interval: [0, 0] });
      expect(evaluationDocument(measured)).toMatchObject({ models: [{}, {}, {}], differences });
      const text = describeComparison({ models, differences });
      expect(text).toMatch(/second +against +first +[+−]\d/);
      expect(text).toContain("distillation head");
    },
  );

  test(
    "are matched by their names, the images' where the first has none, and else it is told",
    { timeout: 60_000 },
    async () => {
      const names = [CLASSES[2] ?? "", CLASSES[0] ?? "", CLASSES[1] ?? ""];
      await writeRandomModel(at("named"), { model: PLAIN, classes: CLASSES, seed: 5 });
      await writeRandomModel(at("bare"), { model: PLAIN, seed: 5 });
      await writeRandomModel(at("turned"), { model: PLAIN, classes: names, seed: 6 });
      await writeRandomModel(at("fruit"), { model: PLAIN, classes: ["apple", "pear", "plum"], seed: 6 });
      const asked = async (...checkpoints: string[]): Promise<{ last: object; said: string[] }> => {
        const said: string[] = [];
        const listen = (event: EvaluateEvent): void =>
          void (event.type === "warning" && said.push(event.message));
        const { models } = await measure(
          { checkpoints: checkpoints.map((name) => `${name}=${at(name)}`), inputSize: 16 },
          listen,
        );
        const perClass = models.at(-1)?.report.perClass ?? [];
        const last = Object.fromEntries(perClass.map(({ class: name, acc1 }) => [name, acc1]));
        return {
          last,
          said: said.filter((message) => !/specify preprocessing|number of attention heads/.test(message)),
        };
      };
      const alone = await asked("turned");
      expect((await asked("named", "turned")).last).toEqual(alone.last);
      const { last, said } = await asked("bare", "turned");
      expect(last).toEqual(alone.last);
      expect(said).toEqual([]);
      expect((await asked("named", "fruit")).said).toEqual([
        "fruit has none of named's class names: classes are matched by index (disc = apple, ring = pear, stripes = plum)",
      ]);
      expect((await asked("bare", "fruit")).said).toEqual([
        expect.stringMatching(/none of the images' class names/),
      ]);
    },
  );

  test("are written as tables, figures and a page that needs no network", { timeout: 60_000 }, async () => {
    const measured = await measure({ checkpoints: [at("plain"), at("distilled")] });
    const folder = join(root, "out");
    const files = await writeEvaluation(folder, measured, { command: "deit eval" });
    expect((await readdir(folder)).toSorted()).toEqual(files.toSorted());
    expect(files).toContain("confusion-2.svg");
    const lines = async (name: string): Promise<string[]> =>
      (await readFile(join(folder, name), "utf8")).trim().split("\n");
    expect(await lines("answers.csv")).toHaveLength(1 + 24 * (1 + 3));
    expect(await lines("classes.csv")).toHaveLength(1 + 2 * 3);
    const [, ...cells] = await lines("confusions.csv");
    expect(cells.reduce((sum, line) => sum + Number(line.split(",").at(-1)), 0)).toBe(2 * 24);
    const page = await readFile(join(folder, "index.html"), "utf8");
    expect(page).not.toMatch(/(?:src|href)="(?!data:)/);
    expect(page).toContain("2 models side by side");
    const document = JSON.parse(await readFile(join(folder, "results.json"), "utf8"));
    expect(document.models[1].perClass).toHaveLength(3);
    const { perClass, macro, wrong, images, correct } = document.models[0];
    const right = perClass.reduce((sum: number, own: { right: number }) => sum + own.right, 0);
    expect(right).toBe(correct);
    expect(macro.recall).toBeCloseTo(document.models[0].acc1, 9); // as many images of each class
    expect(wrong).toHaveLength(Math.min(20, images - correct));
    const losses = wrong.map(({ loss }: { loss: number }) => loss);
    expect(losses).toEqual(losses.toSorted((a: number, b: number) => b - a));
    for (const { label, predicted, truth, loss } of wrong) {
      expect(label).not.toBe(predicted);
      expect(-Math.log(truth)).toBeCloseTo(loss, 5);
    }
    expect(page.match(/src="data:image\/webp;base64,/g)).toHaveLength(
      measured.models.reduce(
        (sum, { report }) => sum + Math.min(12, report.images - (report.correct ?? 0)),
        0,
      ),
    );
    expect(page).not.toContain("top-5"); // of three classes
  });
});
