/** When a run is taken for one with the given options. */
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  asJson,
  differingOptions,
  flagsOf,
  otherOptions,
  SAME_TRAINING,
} from "../../../src/training/run/same-options.ts";
import { tinyRun } from "../photos.ts";

const run = tinyRun({ dataPath: "photos", outputDir: "a/runs/one" });
const there = asJson(run);
const keys = (changes: object, before = there): string[] =>
  differingOptions(before, asJson({ ...run, ...changes }), SAME_TRAINING).map(({ key }) => key);

test("where and how it is computed does not count; everything else does", () => {
  const elsewhere = {
    outputDir: "b",
    device: "webgpu",
    threads: 7,
    workers: 3,
    teacherCache: "answers",
    saveMinutes: 1,
  };
  expect(keys(elsewhere)).toEqual([]);
  expect(keys({ ...elsewhere, numTrain: 500, weightDecay: 0.3, seed: 1 })).toEqual([
    "numTrain",
    "seed",
    "weightDecay",
  ]);
});

test("images are the same however their path is written", () => {
  for (const dataPath of ["./photos", "photos/", join(process.cwd(), "photos")])
    expect(keys({ dataPath })).toEqual([]);
  expect(keys({ dataPath: "photos2" })).toEqual(["dataPath"]);
  expect(keys({ dataPath: null })).toEqual(["dataPath"]);
});

test("a run that is older than an option has its default", () => {
  const { mixupSwitchProb: _, holdOut: __, ...older } = there;
  expect(keys({}, older)).toEqual([]);
  expect(keys({ holdOut: true }, older)).toEqual(["holdOut"]);
  expect(keys({}, { ...there, forgotten: 3 })).toEqual(["forgotten"]);
});

test("a teacher beside the run is the same one in a folder that was moved; another is not", () => {
  const taught = { ...there, teacherPath: "a/runs/convnet" };
  const moved = (teacherPath: string): string[] =>
    keys({ outputDir: "/else/a/runs/one", teacherPath }, taught);
  expect(moved("/else/a/runs/convnet")).toEqual([]);
  expect(moved("/else/a/runs/transformer")).toEqual(["teacherPath"]);
  expect(moved("/else/convnet")).toEqual(["teacherPath"]);
});

test("what differs is told with the flags that bring it back", () => {
  const differing = differingOptions(
    there,
    asJson({ ...run, lr: 0.5, repeatedAug: !run.repeatedAug }),
    SAME_TRAINING,
  );
  const flag = run.repeatedAug ? "--repeated-aug" : "--no-repeated-aug";
  expect(flagsOf(differing)).toBe(`--lr 0.001 ${flag}`);
  expect(otherOptions("folder", differing, "Do this.").message).toBe(
    `folder holds a run with other options:\n  lr: 0.001 there, 0.5 given\n  repeatedAug: ${run.repeatedAug} there, ${!run.repeatedAug} given\nDo this.`,
  );
  expect(flagsOf(differingOptions(there, asJson({ ...run, numTrain: 3 }), SAME_TRAINING))).toBeUndefined();
});
