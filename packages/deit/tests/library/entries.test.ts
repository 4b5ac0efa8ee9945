/** What each entry of the package exports, and that the deprecated one still has all that it had. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import * as models from "deit-ts/models";
import * as graph from "deit-ts/graph";
import * as library from "deit-ts";

const ERRORS = [
  "CheckpointError",
  "ConfigError",
  "DataError",
  "DeitError",
  "DeviceError",
  "FormatError",
  "InterruptedError",
  "NonFiniteError",
  "ShapeError",
];

test("deit-ts has few names: the jobs, and the errors that they throw", () => {
  const names = Object.keys(library);
  expect(names.filter((name) => !ERRORS.includes(name)).toSorted()).toEqual([
    "VERSION",
    "checkData",
    "compare",
    "createDataset",
    "createModel",
    "createRuntime",
    "doctor",
    "downloadDataset",
    "downloadWeights",
    "estimate",
    "evaluate",
    "exportModel",
    "finetune",
    "listModels",
    "listRecipes",
    "loadRecipe",
    "openClassifier",
    "readImage",
    "readRun",
    "reportRun",
    "resume",
    "saveModel",
    "train",
    "trainJsonSchema",
    "writeCheck",
  ]);
  expect(names).toEqual(expect.arrayContaining(ERRORS));
});

test("deit-ts/graph runs programs in Node", async () => {
  expect(graph).toHaveProperty("createRuntime");
});

test("entries that stand beside each other share no other name than errors and random numbers", () => {
  const both = Object.keys(models).filter((name) => Object.hasOwn(graph, name));
  expect(both.filter((name) => !ERRORS.includes(name))).toEqual([]);
});

test("every name of deit-ts/node 0.1 is still there, or in deit-ts-lab", async () => {
  const file = new URL("../golden/entry-node.json", import.meta.url);
  const recorded = JSON.parse(await readFile(file, "utf8")) as string[];
  const lab = await import("../../../lab/src/index.ts");
  expect(Object.keys({ ...lab, ...(await import("../../src/node.ts")) })).toEqual(
    expect.arrayContaining(recorded),
  );
});
