/** Table 4: counted by hand on a few answers, then with models on images, then with the real ones. */
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Ballot } from "../src/agreement/agreement.ts";
import { countAgreement, measureAgreement, mostDisputed } from "../src/agreement/agreement.ts";
import { writeAgreement } from "../src/agreement/agreement-files.ts";
import { evaluateCheckpoint } from "../../deit/src/evaluation/measure-checkpoints.ts";
import type { EvaluateEvent } from "../../deit/src/evaluation/logits.ts";
import type { Dataset } from "../../deit/src/data/dataset.ts";
import { temporaryFolder } from "../../deit/tests/data/temporary.ts";
import { writeRandomModel } from "../../deit/tests/helpers/random-model.ts";
import { CLASSES, writePhotos } from "../../deit/tests/training/photos.ts";

/** Labels, then three who answer. */
const ANSWERS = [
  [0, 0, 1, 1, 2, 2, 2, 0, 1, 2],
  [0, 0, 1, 1, 2, 2, 2, 0, 1, 0],
  [0, 0, 1, 2, 2, 2, 1, 0, 1, 0],
  [1, 0, 2, 2, 0, 2, 1, 1, 0, 1],
] as const;
const ballot: Ballot = {
  respondents: ["ground truth", "a", "b", "c"].map((name) => ({ name })),
  answers: ANSWERS.map((row) => Int32Array.from(row)),
  confidence: ANSWERS.map((row, i) => Float64Array.from(row, (_, k) => (i === 0 ? 1 : (k + 1) / 10))),
  images: Uint32Array.from(ANSWERS[0], (_, i) => i + 100),
  dataset: { name: "ten" } as Dataset,
  classes: ["x", "y", "z"],
};

describe("counting", () => {
  const { models, disagreement, interval, images, closer } = countAgreement(ballot);

  test("is the share of images with different answers, square, with the labels first", () => {
    expect(models).toEqual(["ground truth", "a", "b", "c"]);
    expect(images).toBe(10);
    expect(disagreement).toEqual([
      [0, 0.1, 0.3, 0.8],
      [0.1, 0, 0.2, 0.8],
      [0.3, 0.2, 0, 0.6],
      [0.8, 0.8, 0.6, 0],
    ]);
  });

  test("every rate lies in its interval, and the diagonal is certain", () => {
    for (const [row, rates] of disagreement.entries())
      for (const [column, rate] of rates.entries()) {
        const [low, high] = [interval.low[row]?.[column], interval.high[row]?.[column]];
        expect(low).toBeLessThanOrEqual(rate);
        expect(high).toBeGreaterThanOrEqual(rate);
        if (row === column) expect([low, high]).toEqual([0, 0]);
        else expect(high).toBeGreaterThan(low ?? 1);
      }
  });

  test("says for each which of two others is closer, on the same images", () => {
    expect(closer).toHaveLength(4 * 3); // of each of four, the pairs of the others
    const found = closer.find(({ to, a, b }) => to === "ground truth" && a === "a" && b === "c");
    expect(found?.difference).toBeCloseTo(-0.7, 12);
    expect(found?.high).toBeLessThan(0);
  });

  test("an answer that is not a number agrees with nobody's", () => {
    const broken = {
      ...ballot,
      answers: [...ballot.answers.slice(0, 2), new Int32Array(10).fill(-1), new Int32Array(10).fill(-1)],
    };
    expect(countAgreement(broken, { resamples: 2 }).disagreement[2]).toEqual([1, 1, 0, 1]);
  });

  test("most disputed is where most pairs of models differ, of equals where they are surest", () => {
    expect(mostDisputed(ballot, 3)).toEqual([
      { entry: 9, discord: 2 / 3, confidence: 1 },
      { entry: 8, discord: 2 / 3, confidence: expect.closeTo(0.9, 9) },
      { entry: 7, discord: 2 / 3, confidence: expect.closeTo(0.8, 9) },
    ]);
    const agreed = { ...ballot, answers: ANSWERS.map(() => Int32Array.from(ANSWERS[0])) };
    expect(mostDisputed(agreed, 3)).toEqual([]);
  });
});

const CPU = { device: "cpu", threads: 1, workers: 0 } as const;

describe("models on images", () => {
  let root = "";
  let photos = "";
  const at = (name: string): string => join(root, `${name}.safetensors`);
  beforeAll(async () => {
    root = await temporaryFolder();
    photos = await writePhotos(join(root, "photos"), { perClass: 6 });
    const write = async (
      name: string,
      model: string,
      classes: readonly string[],
      seed: number,
    ): Promise<void> => void (await writeRandomModel(at(name), { model, classes, seed }));
    await write("distilled", "deit_w64d4_distilled_patch4_32", CLASSES, 1);
    await write("plain", "deit_w64d4_patch4_32", CLASSES, 2);
    await write("turned", "deit_w64d4_patch4_32", CLASSES.toReversed(), 2);
    await write("others", "deit_w64d4_patch4_32", ["cat", "dog", "disc"], 2);
  }, 60_000);

  test(
    "a distilled model is three rows, the labels' row holds the error rates, progress is of all",
    { timeout: 60_000 },
    async () => {
      const events: EvaluateEvent[] = [];
      const { agreement } = await measureAgreement(
        {
          checkpoints: [at("distilled"), `student=${at("plain")}`],
          dataPath: photos,
          batchSize: 9,
          resamples: 20,
          ...CPU,
        },
        { onEvent: (event) => events.push(event) },
      );
      const name = "deit_w64d4_distilled_patch4_32";
      expect(agreement.models).toEqual([
        "ground truth",
        `${name} class`,
        `${name} distillation`,
        `${name} joint`,
        "student",
      ]);
      expect(events.map((event) => event.type === "evaluate" && [event.done, event.total])).toEqual([
        [9, 36],
        [18, 36],
        [27, 36],
        [36, 36],
      ]);
      const { heads } = await evaluateCheckpoint({ checkpoint: at("distilled"), dataPath: photos, ...CPU });
      const errors = [heads.class, heads.distillation, heads.joint].map(
        (head) => 1 - (head?.acc1 ?? 0) / 100,
      );
      for (const [i, error] of errors.entries())
        expect(agreement.disagreement[0]?.[i + 1]).toBeCloseTo(error, 10);
    },
  );

  test("classes are matched by name", { timeout: 60_000 }, async () => {
    // the same weights with the classes turned round: answers turned round, too
    const { agreement, ballot } = await measureAgreement({
      checkpoints: [at("plain"), at("turned")],
      dataPath: photos,
      resamples: 2,
      ...CPU,
    });
    const [, plain = new Int32Array(), turned = new Int32Array()] = ballot.answers;
    expect([...turned]).toEqual(Array.from(plain, (answer) => 2 - answer));
    expect(agreement.models.slice(1)).toEqual(["plain", "turned"]); // two of one model, told apart by their files
    await expect(
      measureAgreement({ checkpoints: [at("plain"), at("others")], dataPath: photos, ...CPU }),
    ).rejects.toThrow(/others knows 3 classes, plain 3; it lacks ring, stripes/);
  });

  test("a part of the images keeps the classes in proportion", { timeout: 60_000 }, async () => {
    const { agreement, ballot } = await measureAgreement({
      checkpoints: [at("plain")],
      dataPath: photos,
      images: 6,
      resamples: 2,
      ...CPU,
    });
    expect(agreement.images).toBe(6);
    expect([...(ballot.answers[0]?.toSorted() ?? [])]).toEqual([0, 0, 1, 1, 2, 2]);
  });

  test("an image that cannot be read is nobody's", { timeout: 60_000 }, async () => {
    const broken = join(root, "broken");
    for (const name of CLASSES) {
      await mkdir(join(broken, name), { recursive: true });
      await copyFile(join(photos, name, "0.png"), join(broken, name, "1.png"));
    }
    await writeFile(join(broken, CLASSES[0] ?? "", "0.png"), "no image");
    const { ballot } = await measureAgreement({
      checkpoints: [at("plain"), at("distilled")],
      dataPath: broken,
      resamples: 2,
      ...CPU,
    });
    expect([...ballot.images]).toEqual([1, 2, 3]);
  });

  test(
    "writes tables, figures, the images and a page that needs no network",
    { timeout: 60_000 },
    async () => {
      const checkpoints = [at("distilled"), at("plain")];
      const measured = await measureAgreement({ checkpoints, dataPath: photos, resamples: 20, ...CPU });
      const folder = join(root, "out/agreement");
      const files = await writeAgreement(folder, measured, { examples: 4, command: "deit analyze <b>" });
      expect((await readdir(folder)).toSorted()).toEqual(files.toSorted());
      const lines = (await readFile(join(folder, "agreement.csv"), "utf8")).trim().split("\n");
      expect(lines).toHaveLength(1 + 5 * 5);
      expect(lines[0]).toBe("a,b,disagreement,low,high");
      expect(lines[1]).toBe("ground truth,ground truth,0,0,0");
      const answers = (await readFile(join(folder, "answers.csv"), "utf8")).trim().split("\n");
      expect(answers).toHaveLength(1 + 18);
      expect(answers[1]).toMatch(/^disc\/0\.png,disc,(disc|ring|stripes),/);
      const { disputed, ...document } = JSON.parse(await readFile(join(folder, "agreement.json"), "utf8"));
      expect(document).toEqual(JSON.parse(JSON.stringify(measured.agreement)));
      expect(disputed.length).toBeGreaterThan(0);
      expect(disputed.length).toBeLessThanOrEqual(4);
      expect(disputed[0].answers).toHaveLength(5);
      const page = await readFile(join(folder, "index.html"), "utf8");
      expect(page).not.toMatch(/(?:src|href)="(?!data:)/);
      expect(page.match(/<figure>/g)).toHaveLength(disputed.length);
      expect(page).toContain("deit analyze &lt;b&gt;");
    },
  );
});
