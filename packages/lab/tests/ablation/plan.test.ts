/** The tables of an ablation, and the order and options of their trainings. */
import { readdir, writeFile } from "node:fs/promises";
import { join, parse } from "node:path";
import { describe, expect, test } from "vitest";
import { planAblation } from "../../src/ablation/plan.ts";
import type { AblationTable } from "../../src/ablation/table.ts";
import { loadTable, onlyRows, variedTable } from "../../src/ablation/table.ts";
import type { Layer } from "../../../deit/src/config/resolve.ts";
import { temporaryFolder } from "../../../deit/tests/data/temporary.ts";

const flags = (values: Record<string, unknown>): Layer => ({
  source: "command line",
  spelling: "flag",
  values,
});
const recipe = { dataSet: "cifar10", model: "deit_w64d4_patch4_32", epochs: 10, warmupEpochs: 2 } as const;
const table: AblationTable = {
  name: "small",
  recipe,
  rows: [
    { name: "base", change: {} },
    { name: "no Mixup", change: { mixup: 0 } },
    { name: "wide", change: { model: "deit_w96d6_patch4_32" }, setting: { lr: 1e-3 } },
    { name: "wide, no Mixup", change: { model: "deit_w96d6_patch4_32", mixup: 0 }, against: "wide" },
  ],
};

describe("the plan", () => {
  test("baselines of every seed, then the others seed by seed", () => {
    const { runs } = planAblation(table, { seeds: [3, 4], out: "o" });
    expect(runs.map(({ label }) => label)).toEqual([
      "base, seed 3",
      "wide, seed 3",
      "base, seed 4",
      "wide, seed 4",
      "no Mixup, seed 3",
      "wide, no Mixup, seed 3",
      "no Mixup, seed 4",
      "wide, no Mixup, seed 4",
    ]);
    expect(new Set(runs.map(({ folder }) => folder)).size).toBe(8);
    const wide = runs[1];
    expect(wide?.plan.run.args).toMatchObject({ lr: 1e-3, seed: 3, epochs: 10, outputDir: wide?.folder });
    expect(wide?.folder).toBe(join("o", "runs", "wide-10-epochs-seed-3"));
  });

  test("flags lie between recipe and rows; a budget multiplies epochs and warm-up", () => {
    const { runs } = planAblation(table, {
      seeds: [0],
      out: "o",
      flags: flags({ batchSize: "32" }),
      budget: 0.5,
      jobs: 200,
    });
    expect(runs[0]?.plan.run.args).toMatchObject({ batchSize: 32, epochs: 5, warmupEpochs: 1, threads: 1 });
  });

  test("a flag that the rows differ in is refused", () => {
    expect(() => planAblation(table, { seeds: [0], out: "o", flags: flags({ mixup: "0.5" }) })).toThrow(
      /--mixup: the rows of this table differ in it/,
    );
  });

  test("what is wrong in a row is told with its name", () => {
    const wrong = { ...table, rows: [{ name: "odd", change: { model: "resnet20_cifar", drop: 0.1 } }] };
    expect(() => planAblation(wrong, { seeds: [0], out: "o" })).toThrow(
      /odd, seed 0: --drop 0.1 is not supported for convnets/,
    );
    const untaught = { ...table, rows: [{ name: "taught", change: { distillationType: "hard" } as const }] };
    expect(() => planAblation(untaught, { seeds: [0], out: "o" })).toThrow(
      /taught, seed 0: hard distillation needs/,
    );
  });

  test("rows whose folders would have one name are refused", () => {
    const alike = { ...table, rows: [...table.rows, { name: "No Mixup!", change: { mixup: 0.1 } }] };
    expect(() => planAblation(alike, { seeds: [0], out: "o" })).toThrow(
      '"No Mixup!, seed 0" and "no Mixup, seed 0" would be trained in one folder',
    );
  });

  test("teachers are trained first, once, unless weights are given", () => {
    const taught: AblationTable = {
      ...table,
      teachers: { convnet: { dataSet: "cifar10", model: "resnet20_cifar", epochs: 4, warmupEpochs: 0 } },
      rows: [
        { name: "labels", change: {} },
        {
          name: "taught",
          change: { distillationType: "hard", distillationHead: "class" },
          teacher: "convnet",
        },
      ],
    };
    const { runs } = planAblation(taught, {
      seeds: [0, 1],
      out: "o",
      budget: 0.5,
      flags: flags({ batchSize: "8" }),
    });
    expect(runs.map(({ label }) => label)).toEqual([
      "teacher convnet",
      "labels, seed 0",
      "labels, seed 1",
      "taught, seed 0",
      "taught, seed 1",
    ]);
    expect(runs[0]?.plan.run.args).toMatchObject({ model: "resnet20_cifar", epochs: 2, batchSize: 64 });
    expect(runs[3]?.after).toEqual([runs[0]]);
    expect(runs[3]?.plan.run.args).toMatchObject({
      teacherPath: runs[0]?.folder,
      teacherCache: join("o", "answers"),
    });
    expect(runs[1]?.plan.run.args).toMatchObject({ teacherPath: null, teacherCache: null });
    // alike they have to be before anyone learns from them
    const gated = planAblation({ ...taught, teachersWithin: 1 }, { seeds: [0], out: "o" });
    expect(gated.runs.map(({ label, after }) => [label, after.map((run) => run.label)])).toEqual([
      ["teacher convnet", []],
      ["labels, seed 0", ["teacher convnet"]],
      ["taught, seed 0", ["teacher convnet"]],
    ]);
    const given = planAblation(taught, {
      seeds: [0],
      out: "o",
      teachers: { convnet: "weights.safetensors" },
    });
    expect(given.runs).toHaveLength(2);
    expect(given.runs[1]?.plan.teacher?.path).toBe("weights.safetensors");
    expect(() => planAblation(taught, { seeds: [0], out: "o", teachers: { other: "x" } })).toThrow(
      'the table has no teacher "other"',
    );
  });
});

test("chosen rows bring the ones that they are compared with", () => {
  const names = ({ rows }: AblationTable): string[] => rows.map(({ name }) => name);
  expect(names(onlyRows(table, ["wide, no Mixup"]))).toEqual(["wide", "wide, no Mixup"]);
  expect(names(onlyRows(table, ["no Mixup"]))).toEqual(["base", "no Mixup"]);
  expect(onlyRows(table, undefined)).toBe(table);
  const contrasts = [{ name: "c", row: "wide", against: "no Mixup" }];
  expect(onlyRows({ ...table, contrasts }, ["wide"]).contrasts).toEqual([]);
  expect(onlyRows({ ...table, contrasts }, ["wide", "no Mixup"]).contrasts).toEqual(contrasts);
  expect(() => onlyRows(table, ["no Mixop"])).toThrow('there is no row "no Mixop" in small');
});

describe("varied options", () => {
  test("each value by itself, without the recipe's own; names in any spelling", async () => {
    const { rows } = await variedTable("cifar10-deit", {
      vary: ["mixup=0,0.8", "drop_path=0", "repeatedAug=false", "aa=none,original", "scale=[0.5,1],[0.08,1]"],
    });
    expect(rows.map(({ change }) => change)).toEqual([
      {},
      { mixup: 0 },
      { dropPath: 0 },
      { repeatedAug: false },
      { aa: null },
      { aa: "original" },
      { scale: [0.5, 1] },
    ]);
    expect(rows[0]?.name).toMatch(/^as it is \(mixup 0.8, dropPath 0.1, repeatedAug true, aa rand-m9/);
  });

  test("a grid has all combinations", async () => {
    const { rows } = await variedTable("cifar10-deit", { vary: ["mixup=0,0.8", "cutmix=0,1"], grid: true });
    expect(rows.slice(1).map(({ name }) => name)).toEqual([
      "mixup 0, cutmix 0",
      "mixup 0, cutmix 1",
      "mixup 0.8, cutmix 0",
    ]);
  });

  test.each(["mixup", "mixup=", "mixop=1", "seed=1,2"])("--vary %s is refused", async (vary) => {
    await expect(variedTable("cifar10-deit", { vary: [vary] })).rejects.toThrow(`--vary ${vary}`);
  });
});

describe("tables in files", () => {
  test("those that come with the package can be planned", async () => {
    const files = await readdir(new URL("../../src/tables", import.meta.url));
    expect(files.length).toBeGreaterThan(7);
    for (const name of files.map((file) => parse(file).name)) {
      const loaded = await loadTable(name);
      const values = { teacherPath: "teacher.onnx", dataPath: "photos" };
      const flags = { source: "test", spelling: "key", values } as const;
      const { runs } = planAblation(loaded, { seeds: [0], out: "o", flags });
      expect(runs.length, name).toBeGreaterThanOrEqual(loaded.rows.length);
    }
  });

  test("every seed goes on from weights of its own where they are named by it", async () => {
    const loaded = await loadTable("finetune-cifar10");
    const values = { teacherPath: "teacher.onnx", finetune: "students/seed-{seed}" };
    const flags = { source: "test", spelling: "key", values } as const;
    const { runs } = planAblation(loaded, { seeds: [3, 4], out: "o", flags });
    for (const { seed, plan } of runs) expect(plan.run.args["finetune"]).toBe(`students/seed-${seed}`);
  });

  test("a file without rows is refused, and so are rows that fit nothing", async () => {
    await expect(loadTable("table3-cifar")).rejects.toMatchObject({
      code: "recipe/not-found",
      hint: expect.stringContaining("table3-cifar10"),
    });
    await expect(loadTable("packages/deit/recipes/cifar10-small.ts")).rejects.toThrow("holds no table");
    const file = join(await temporaryFolder(), "odd.mjs");
    await writeFile(
      file,
      'export const recipe = {}; export const rows = [{ name: "a", change: {}, against: "b" }];',
    );
    await expect(loadTable(file)).rejects.toThrow('"a" is to be compared with "b", which is not a row');
    const rows = 'export const recipe = {}; export const rows = [{ name: "a", change: {} }];';
    const contrasts = async (name: string, text: string): Promise<unknown> => {
      const file = join(await temporaryFolder(), `${name}.mjs`);
      await writeFile(file, `${rows} export const contrasts = ${text};`);
      return loadTable(file);
    };
    await expect(contrasts("stranger", '[{ name: "a − b", row: "a", against: "b" }]')).rejects.toThrow(
      '"a − b" compares "b", which is not a row',
    );
    await expect(contrasts("limit", '[]; export const teachersWithin = "1"')).rejects.toThrow(
      "teachersWithin is points of top-1",
    );
    await expect(contrasts("words", '["a"]')).rejects.toThrow("contrasts are pairs of rows with a name");
  });
});
