/** Throughput tables: the paper's counts, interleaved rounds that go on where they stopped, and what is written. */
import { appendFile, readFile, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { TABLE_5 } from "../../src/throughput/paper-tables.ts";
import { writeThroughput } from "../../src/throughput/files.ts";
import { accuracyFigure, memoryFigure, shortName, workFigure } from "../../src/throughput/figures.ts";
import { ranOutOfMemory } from "../../src/throughput/forward.ts";
import { openJournal } from "../../src/throughput/journal.ts";
import type { ThroughputEvent, ThroughputTable } from "../../src/throughput/measure.ts";
import { measureThroughput } from "../../src/throughput/measure.ts";
import { paretoFront } from "../../src/throughput/pareto.ts";
import { throughputRows } from "../../src/throughput/rows.ts";
import { scatterFigure } from "../../src/throughput/scatter.ts";
import { DeviceError } from "../../../deit/src/errors.ts";
import { drawChart } from "../../../deit/src/figures/chart.ts";
import { countParameters, createModel } from "../../../deit/src/models/registry.ts";
import { JobError, JobKilledError } from "../../../deit/src/runtime/job-process.ts";
import { packError } from "../../../deit/src/runtime/messages.ts";
import { temporaryFolder, writeClasses } from "../../../deit/tests/data/temporary.ts";
import { writeRandomModel } from "../../../deit/tests/helpers/random-model.ts";
import { measuredRows } from "./measured.ts";

describe("rows", () => {
  test.each([
    ["deit_tiny_patch16_224", 224, 5_717_416, 1.2537],
    ["deit_small_patch16_224", 224, 22_050_664, 4.5989],
    ["deit_base_patch16_224", 224, 86_567_656, 17.5638],
    ["deit_base_patch16_224", 384, 86_859_496, 55.4844],
    ["deit_tiny_distilled_patch16_224", 224, 5_910_800, 1.261],
    ["deit_small_distilled_patch16_224", 224, 22_436_432, 4.6241],
    ["deit_base_distilled_patch16_224", 224, 87_338_192, 17.6568],
    ["deit_base_distilled_patch16_384", 384, 87_630_032, 55.5913],
    ["regnety_002", 224, 3_162_996, 0.2],
    ["regnety_040", 224, 20_646_656, 3.973],
    ["regnety_160", 224, 83_590_140, 15.912],
  ])("%s at %i: %i parameters, %d GMACs", async (model, size, parameters, gmacs) => {
    const { rows } = await throughputRows({ models: [model], sizes: [size] });
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ parameters, inputSize: [size, size], weights: null });
    expect((rows[0]?.macs ?? 0) / 1e9).toBeCloseTo(gmacs, 3);
  });

  test("patterns, and sizes that a model does not take", async () => {
    const { rows, notes } = await throughputRows({
      models: ["deit_w64*", "resnet20_cifar"],
      sizes: [32, 33],
    });
    expect(rows.map(({ name, inputSize }) => `${name} ${inputSize[0]}`)).toEqual([
      "deit_w64d4_patch4_32 32",
      "deit_w64d4_distilled_patch4_32 32",
      "resnet20_cifar 32",
      "resnet20_cifar 33",
    ]);
    expect(notes).toEqual([expect.stringContaining("deit_w64d4_patch4_32 at 33"), expect.anything()]);
  });

  test("are called what people call them, and never two alike", async () => {
    const folder = await temporaryFolder();
    const file = (name: string): string => join(folder, `${name}.safetensors`);
    for (const name of ["one", "two"])
      await writeRandomModel(file(name), { model: "deit_w64d4_patch4_32", classes: ["a", "b"] });
    const namesOf = async (models: string[], sizes?: number[]): Promise<string[]> => {
      const { rows } = await throughputRows({ models, sizes });
      return rows.map(({ name, given, inputSize }) => `${name} ${inputSize[0]} ${given.replace(folder, "")}`);
    };
    expect(await namesOf([`mine=${file("one")}`, "small=deit_w64d4_patch4_32"], [16, 32])).toEqual([
      "mine 16 /one.safetensors",
      "mine 32 /one.safetensors",
      "small 16 deit_w64d4_patch4_32",
      "small 32 deit_w64d4_patch4_32",
    ]);
    const inFolder = (name: string): string => `deit_w64d4_patch4_32 (${basename(folder)}/${name})`;
    expect(await namesOf([file("one"), file("two"), `mine=${file("one")}`])).toEqual([
      `${inFolder("one.safetensors")} 16 /one.safetensors`,
      `${inFolder("two.safetensors")} 16 /two.safetensors`,
      "mine 16 /one.safetensors",
    ]);
    expect(await namesOf([`m=${file("one")}`, `m=${file("two")}`, "m=deit_w64d4_patch4_32"])).toEqual([
      "m (1) 16 /one.safetensors",
      "m (2) 16 /two.safetensors",
      "m 32 deit_w64d4_patch4_32",
    ]);
    expect(await namesOf(["deit_w64d4_patch4_32", "deit_w64d4_patch4_32"])).toHaveLength(2);
    const { notes } = await throughputRows({ models: [`mine=${file("one")}`], sizes: [16, 33] });
    expect(notes).toEqual([expect.stringContaining("mine at 33 pixels is left out")]);
  });

  test("a name that is none suggests one", async () => {
    await expect(throughputRows({ models: ["deit_tny_patch16_224"] })).rejects.toThrow(
      /deit_tny_patch16_224 is neither a model nor a file\n.*deit_tiny_patch16_224/,
    );
    await expect(throughputRows({ models: ["nothing*"] })).rejects.toThrow(
      "no model's name matches nothing*",
    );
  });
});

test("the paper's models that are registered have the paper's number of parameters", () => {
  const known = TABLE_5.flatMap(({ registered, parameters }) =>
    registered === undefined ? [] : [{ registered, parameters }],
  );
  expect(known).toHaveLength(11);
  for (const { registered, parameters } of known)
    expect(Math.abs(countParameters(createModel(registered)) / 1e6 - parameters), registered).toBeLessThan(1);
});

describe("the Pareto front", () => {
  test("keeps what nothing beats in both", () => {
    const points = [
      [1, 9],
      [2, 8],
      [2, 7],
      [3, 8],
      [4, 1],
      [0, 9],
    ].map(([x = 0, y = 0]) => ({ x, y }));
    expect(paretoFront(points)).toEqual([
      { x: 1, y: 9 },
      { x: 3, y: 8 },
      { x: 4, y: 1 },
    ]);
  });

  test("of accuracy and memory goes from little to much", () => {
    const points = [
      [300, 80],
      [100, 70],
      [200, 75],
      [250, 74],
      [100, 60],
    ].map(([x = 0, y = 0]) => ({ x, y }));
    expect(paretoFront(points, { better: "less" }).map(({ x }) => x)).toEqual([100, 200, 300]);
  });

  test("keeps equal points, and nothing of nothing", () => {
    expect(
      paretoFront([
        { x: 1, y: 1 },
        { x: 1, y: 1 },
      ]),
    ).toHaveLength(2);
    expect(paretoFront([])).toEqual([]);
  });
});

test("a journal remembers, passes over a torn line and goes on after it", async () => {
  const file = join(await temporaryFolder(), "deep", "kept.jsonl");
  const first = await openJournal(file);
  expect(await first.remember({ a: 1 }, async () => 5)).toBe(5);
  await appendFile(file, '{"key":"tor');
  const second = await openJournal(file);
  const never = async (): Promise<number> => Promise.reject(new Error("measured twice"));
  expect(await second.remember({ a: 1 }, never)).toBe(5);
  expect(second.has({ a: 2 })).toBe(false);
  await second.remember({ a: 2 }, async () => 6);
  expect(await (await openJournal(file)).remember({ a: 2 }, never)).toBe(6);
});

test("names as the papers write them", () => {
  const named = (name: string, side: number): string => shortName({ name, inputSize: [side, side] });
  expect(named("deit_tiny_distilled_patch16_224", 224)).toBe("DeiT-Ti distilled");
  expect(named("deit_base_patch16_384", 384)).toBe("DeiT-B 384");
  expect(named("regnety_016", 160)).toBe("RegNetY-1.6GF 160");
  expect(named("own.onnx", 224)).toBe("own.onnx");
});

describe("a small table", () => {
  const small = {
    models: ["deit_w64d4_patch4_32"],
    batchSize: 2,
    runs: 3,
    rounds: 2,
    device: "cpu",
    threads: 1,
  } as const;

  test("is measured in rounds, stops between pieces, and goes on", async () => {
    const folder = await temporaryFolder();
    const file = join(folder, "model.safetensors");
    await writeRandomModel(file, { model: "deit_w64d4_patch4_32", classes: ["a", "b"] });
    await writeClasses(join(folder, "val"), { a: 3, b: 2 });
    const options = {
      ...small,
      models: [file],
      journal: join(folder, "kept.jsonl"),
      evaluateOn: { dataPath: join(folder, "val"), valSplit: 0.5 },
    };
    const said: ThroughputEvent[] = [];
    const controller = new AbortController();
    const onEvent = (event: ThroughputEvent): void => {
      said.push(event);
      if (event.type === "progress" && event.what.includes("round 2")) controller.abort();
    };
    await expect(measureThroughput(options, { onEvent, signal: controller.signal })).rejects.toThrow();
    const kept = (await readFile(options.journal, "utf8")).trim().split("\n");
    const table = await measureThroughput(options);
    const lines = (await readFile(options.journal, "utf8")).trim().split("\n");
    expect(lines.slice(0, kept.length)).toEqual(kept);
    expect(lines).toHaveLength(kept.length + 1);
    const [row] = table.rows;
    expect(row).toMatchObject({
      batchSize: 2,
      runs: 3,
      inputSize: [16, 16],
      family: "DeiT",
      pareto: true,
      paretoMemory: true,
    });
    expect(row?.images).toBeGreaterThan(0);
    expect(row?.imagesPerSecond).toBeGreaterThan(0);
    expect(row?.quartiles[0]).toBeLessThanOrEqual(row?.quartiles[1] ?? 0);
    expect(table).toMatchObject({ device: "cpu", threads: 1 });
    expect(table.runtimeMiB).toBeGreaterThan(20);
    expect(row?.memoryMiB).toBeGreaterThan(table.runtimeMiB / 2); // pages may be given back meanwhile
  }, 240_000);
});

test("tables, figures and a page are written", async () => {
  const folder = join(await temporaryFolder(), "out");
  const { rows } = await throughputRows({ models: ["deit_tiny_patch16_224", "regnety_040"] });
  const measured = measuredRows(rows, (i) =>
    i === 0 ? { acc1: 72.2, acc5: 91, images: 650, pareto: true, paretoMemory: true } : {},
  );
  const table: ThroughputTable = { rows: measured, device: "cpu", threads: 2, runtimeMiB: 150 };
  const files = await writeThroughput(folder, table, {
    paper: true,
    sizeBy: "memory",
    evaluateOn: "some <images>",
    command: "deit x",
  });
  expect((await readdir(folder)).toSorted()).toEqual(files.toSorted());
  expect(files).toEqual(
    expect.arrayContaining([
      "throughput.csv",
      "throughput.json",
      "index.html",
      "accuracy.svg",
      "memory.svg",
      "work.svg",
    ]),
  );
  const page = await readFile(join(folder, "index.html"), "utf8");
  for (const part of ["DeiT-B distilled 384", "some &lt;images&gt;", "the paper, V100", "deit x"])
    expect(page).toContain(part);
  for (const part of ["memory of a batch of 8, MiB", "150 MiB of it", "its points are rings of one size"])
    expect(page).toContain(part);
  expect(page).not.toContain("<script");
  const [head = "", first = ""] = (await readFile(join(folder, "throughput.csv"), "utf8")).split("\n");
  const cells = Object.fromEntries(head.split(",").map((name, i) => [name, first.split(",")[i]]));
  expect(cells).toMatchObject({
    model: "deit_tiny_patch16_224",
    acc1: "72.2000",
    macs: "1253683200",
    pareto: "true",
    pareto_memory: "true",
  });
  expect(accuracyFigure(measured.slice(1))).toBeUndefined();
  expect(memoryFigure(measured.slice(1))).toBeUndefined();
  expect(workFigure(measured.slice(1))).toBeUndefined();
});

test("points without a known size are rings, and claim no memory", () => {
  const drawn = scatterFigure(
    [
      {
        title: "both",
        xTitle: "x",
        yTitle: "y",
        better: "more",
        points: [
          { label: "known", family: "DeiT", x: 1, y: 1, size: 400, model: "a" },
          { label: "unknown", family: "ResNet", x: 2, y: 2, size: null, model: "b" },
        ],
      },
    ],
    "memory",
  );
  const svg = drawn === undefined ? "" : drawChart(drawn);
  expect(svg.match(/<circle[^>]*fill="none"/g)).toHaveLength(1);
  expect(svg.match(/<circle[^>]*fill="none"[^>]*stroke="var\(--violet\)"/g)).toHaveLength(1);
  expect(svg.match(/<circle[^>]*fill="var\(--blue\)"/g)).toHaveLength(1);
  expect(svg).toContain("400 MiB, one image");
});

test.each([
  [new JobKilledError(null, "SIGKILL"), true],
  [new JobKilledError(1, null), false],
  [new Error("RangeError: Array buffer allocation failed\n    at ArrayBuffer"), true],
  [new JobError("DeitError", packError(new Error("std::bad_alloc"))), true],
  [new DeviceError("webgpu", "cannot be loaded", { code: "device/out-of-memory", outOfMemory: true }), true],
  [
    new DeviceError("webgpu", "out of memory, says a word in what a driver logs", {
      code: "device/program-failed",
    }),
    false,
  ],
  [new DeviceError("cuda", "there is no CUDA device", { code: "device/unusable" }), false],
])("a batch that did not fit is told from other failures: %s", (error, expected) => {
  expect(ranOutOfMemory(error)).toBe(expected);
});
