/** Teachers that a table wants about as accurate as each other: evaluated before any student is trained. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import type { AblationPlan } from "../../src/ablation/plan.ts";
import { planAblation } from "../../src/ablation/plan.ts";
import type { AblationEvent } from "../../src/ablation/run.ts";
import { runAblation } from "../../src/ablation/run.ts";
import { checkTeachers } from "../../src/ablation/teachers.ts";
import { DeitError } from "../../../deit/src/errors.ts";
import { evaluateCheckpoint } from "../../../deit/src/evaluation/measure-checkpoints.ts";
import { temporaryFolder } from "../../../deit/tests/data/temporary.ts";
import { writeRandomModel } from "../../../deit/tests/helpers/random-model.ts";
import { CLASSES, writePhotos } from "../../../deit/tests/training/photos.ts";

let out = "";
let first: AblationPlan;
let acc1: Record<string, number> = {};
const within = (teachersWithin: number | undefined): AblationPlan => ({
  ...first,
  table: { ...first.table, teachersWithin },
});

beforeAll(async () => {
  const root = await temporaryFolder();
  out = join(root, "study");
  const dataPath = await writePhotos(join(root, "photos"), { perClass: 8 });
  const teachers = { plain: join(root, "plain.safetensors"), convnet: join(root, "convnet.safetensors") };
  await writeRandomModel(teachers.plain, { model: "deit_w64d4_patch4_32", classes: CLASSES, seed: 2 });
  await writeRandomModel(teachers.convnet, { model: "resnet20_cifar", classes: CLASSES, seed: 3 });
  const recipe = {
    dataPath,
    valSplit: 0.5,
    inputSize: 16,
    batchSize: 8,
    epochs: 1,
    warmupEpochs: 0,
    device: "cpu",
    threads: 1,
    workers: 0,
  } as const;
  const taught = {
    model: "deit_w64d4_distilled_patch4_32",
    distillationType: "hard",
    repeatedAug: false,
  } as const;
  const rows = [{ name: "taught", change: taught, teacher: "plain" }];
  first = planAblation({ name: "alike", recipe, teachers, rows }, { seeds: [5], out });
  for (const [name, checkpoint] of Object.entries(teachers)) {
    const images = { dataPath, valSplit: 0.5, seed: 5, device: "cpu", workers: 0 } as const;
    acc1[name] = (await evaluateCheckpoint({ checkpoint, ...images, resamples: 1 })).acc1;
  }
}, 120_000);

test("both are evaluated on the students' images, and have to lie within the limit", async () => {
  const apart = Math.abs((acc1["plain"] ?? 0) - (acc1["convnet"] ?? 0));
  expect(apart).toBeGreaterThan(0);
  expect(await checkTeachers(within(apart + 1e-9))).toEqual(acc1);
  expect(await checkTeachers(within(undefined))).toBeUndefined();
  await expect(checkTeachers(within(apart / 2))).rejects.toThrow(
    `the teachers are ${apart.toFixed(2)} points of top-1 apart, and the table allows ${apart / 2}: plain ${acc1["plain"]?.toFixed(2)} %, convnet ${acc1["convnet"]?.toFixed(2)} %; no student is trained\nChange the epochs`,
  );
}, 120_000);

test("the study ends before any student when they do not, and goes on when they do", async () => {
  const recorded = async (): Promise<void> => {};
  const ended = runAblation(within(0), { out, recorded });
  await expect(ended).rejects.toThrow(DeitError);
  await expect(ended).rejects.toThrow("no student is trained");
  expect(await readdir(out)).not.toContain("runs");

  const controller = new AbortController();
  const said: AblationEvent[] = [];
  const onEvent = (event: AblationEvent): void => {
    said.push(event);
    if (event.type === "teachers") controller.abort();
  };
  const stopped = runAblation(within(100), { out, recorded }, { onEvent, signal: controller.signal });
  await expect(stopped).rejects.toMatchObject({ name: "InterruptedError" });
  expect(said).toContainEqual({ type: "teachers", reached: acc1 });
  expect(said.filter(({ type }) => type === "finished")).toEqual([]);
}, 120_000);
