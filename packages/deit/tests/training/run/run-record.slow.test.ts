/** A run goes by the images and classes that it began with, whatever has become of their folder. */
import { copyFile, cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openDatasets } from "../../../src/data/open.ts";
import { readRecord, readRecordedImages } from "../../../src/training/run/run-record.ts";
import { InterruptedError } from "../../../src/training/train.ts";
import type { TrainEvent, TrainResult } from "../../../src/training/train.ts";
import type { TrainInput } from "../../../src/config/schema.ts";
import { temporaryFolder } from "../../data/temporary.ts";
import { CLASSES, runContent, tinyRun, train, writePhotos } from "../photos.ts";

let root = "";
let whole = "";
let photos = "";
let outputDir = "";
let count = 0;
const at = (...names: string[]): string => join(photos, ...names);

beforeAll(async () => {
  root = await temporaryFolder();
  whole = await writePhotos(join(root, "whole"), { perClass: 10 });
});
beforeEach(async () => {
  photos = join(root, `photos${count}`);
  outputDir = join(root, `run${count++}`);
  await cp(whole, photos, { recursive: true });
});

const plan = (changes: TrainInput = {}): ReturnType<typeof tinyRun> =>
  tinyRun({ dataPath: photos, outputDir, epochs: 2, valSplit: 0.3, ...changes });

/** Stops after the first epoch. */
async function begin(changes: TrainInput = {}): Promise<void> {
  const controller = new AbortController();
  const onEvent = ({ type }: TrainEvent): void => {
    if (type === "epoch") controller.abort();
  };
  await expect(train(plan(changes), { onEvent, signal: controller.signal })).rejects.toThrow(
    InterruptedError,
  );
}

/** Goes on. What it says, and how many images it has. */
async function goOn(
  changes: TrainInput = {},
): Promise<{ said: string; images: readonly number[]; result: TrainResult }> {
  const said: string[] = [];
  let images: readonly number[] = [];
  const result = await train(plan(changes), {
    onEvent: (event) => {
      if (event.type === "warning" || event.type === "note") said.push(event.message);
      if (event.type === "start") images = [event.trainImages, event.valImages];
    },
  });
  return { said: said.join("\n"), images, result };
}

/** Names by part, as the record has them. */
async function parts(): Promise<Record<string, string[]>> {
  const list = gunzipSync(await readFile(join(outputDir, "images.txt.gz"))).toString();
  const found: Record<string, string[]> = { t: [], v: [], u: [] };
  for (const line of list.trimEnd().split("\n")) {
    const [part = "", , name = ""] = line.split("\t");
    found[part]?.push(name);
  }
  return found;
}

describe("what is kept", () => {
  test("each image with its part, classes, the form of the program; no resume changes it", async () => {
    await begin({ numTrain: 12 });
    const found = await parts();
    expect([found["t"]?.length, found["v"]?.length, found["u"]?.length]).toEqual([12, 9, 9]);
    const opened = await openDatasets({ dataPath: photos, valSplit: 0.3, seed: 0, numTrain: 12 });
    expect(found["v"]).toEqual(Array.from({ length: 9 }, (_, i) => opened.validation?.describe(i)));
    const record = await readRecord(outputDir);
    expect(record).toMatchObject({
      classes: CLASSES,
      images: { train: 12, validation: 9, unused: 9, ownValidation: false },
      program: { model: "deit_w64d4_patch4_32" },
    });
    expect(record?.program.vectors["W.noDecay"]).toBeGreaterThan(0);
    expect(record?.samples.length).toBe(16);
    const files = async (): Promise<string[]> =>
      Promise.all(
        ["record.json", "images.txt.gz"].map(async (name) => readFile(join(outputDir, name), "latin1")),
      );
    const before = await files();
    const { images, said } = await goOn({ numTrain: 12 });
    expect([images, said]).toEqual([[12, 9], ""]);
    expect(await files()).toEqual(before);
  });

  test("a folder with its own validation images, and names with anything in them", async () => {
    const split = join(root, `split${count}`);
    await cp(whole, join(split, "train"), { recursive: true });
    await cp(whole, join(split, "val"), { recursive: true });
    await copyFile(join(split, "train/disc/0.png"), join(split, 'train/disc/a\n\t"ü\\.png'));
    await begin({ dataPath: split });
    const recorded = await readRecordedImages(outputDir);
    expect(recorded?.ownValidation).toBe(true);
    const opened = await openDatasets({ dataPath: split, recorded });
    expect([opened.train.length, opened.validation?.length]).toEqual([31, 30]);
    expect(opened.train).toBe(opened.whole); // nothing was selected anew
  });
});

describe("other classes are refused by name", () => {
  test.each<[string, () => Promise<void>, string]>([
    ["renamed", async () => rename(at("ring"), at("rings")), "gone: ring; new: rings"],
    ["added", async () => cp(at("ring"), at("square"), { recursive: true }), "new: square"],
    ["removed", async () => rm(at("ring"), { recursive: true }), "gone: ring"],
  ])("%s", async (_, change, words) => {
    await begin();
    await change();
    await expect(goOn()).rejects.toMatchObject({
      code: "run/other-classes",
      message: expect.stringContaining(words),
      hint: expect.stringContaining("deit finetune IMAGES --finetune"),
    });
  });

  test("in a run that kept no list", async () => {
    await begin();
    await Promise.all(["record.json", "images.txt.gz"].map(async (name) => rm(join(outputDir, name))));
    await rename(at("ring"), at("rings"));
    await expect(goOn()).rejects.toMatchObject({ code: "run/other-classes" });
  });
});

describe("images keep their part", () => {
  test("new ones are left out, and said", async () => {
    await begin();
    const before = await readRecordedImages(outputDir);
    // they sort before the others and would change the draw of the split
    for (const i of [1, 2, 3, 4, 5]) await copyFile(at("disc/0.png"), at(`disc/!${i}.png`));
    const { said, images } = await goOn();
    expect(images).toEqual([21, 9]);
    expect(said).toContain("5 images are new since");
    expect(said).toContain("left out (disc/!1.png, disc/!2.png, disc/!3.png, …)");
    const { train: now, validation } = await openDatasets({ dataPath: photos, recorded: before });
    for (const [part, dataset] of [
      ["train", now],
      ["validation", validation],
    ] as const)
      for (let i = 0; i < (dataset?.length ?? 0); i++)
        expect(before?.images?.get(dataset?.describe(i) ?? "")?.part).toBe(part);
  });

  test("missing ones are said", async () => {
    await begin();
    const { t: trained = [], v: held = [] } = await parts();
    await rm(at(trained[0] ?? ""));
    await rm(at(held[0] ?? ""));
    const { said, images } = await goOn();
    expect(images).toEqual([20, 8]);
    expect(said).toMatch(/2 images of .* are missing now \(/);
  });

  test("one in another class keeps its part, under its new label", async () => {
    for (let i = 0; i < 10; i++) await copyFile(at("disc/0.png"), at(`disc/own-${i}.png`));
    await begin();
    const { v: held = [], t: trained = [] } = await parts();
    const isOwn = (key: string): boolean => key.startsWith("disc/own-");
    const [mine = "", other = ""] = [held.find(isOwn), trained.find(isOwn)];
    for (const key of [mine, other]) await rename(at(key), at(key.replace("disc", "ring")));
    const recorded = await readRecordedImages(outputDir);
    const { said, images } = await goOn();
    expect(images).toEqual([trained.length, held.length]);
    expect(said).toMatch(
      /2 images moved to another class or folder since .* began \(disc\/own-\d.png → ring/,
    );
    const { validation } = await openDatasets({ dataPath: photos, recorded });
    const names = Array.from({ length: held.length }, (_, i) => validation?.describe(i));
    const place = names.indexOf(mine.replace("disc", "ring"));
    expect(validation?.labels[place]).toBe(CLASSES.indexOf("ring"));
    expect(names).not.toContain(other.replace("disc", "ring"));
  });

  test("moved between the folders of a split it is on neither side", async () => {
    const split = join(root, `split${count}`);
    await cp(whole, join(split, "train"), { recursive: true });
    await cp(whole, join(split, "val"), { recursive: true });
    for (const name of CLASSES) await rm(join(split, "val", name, "9.png"));
    await begin({ dataPath: split });
    await rename(join(split, "train/disc/9.png"), join(split, "val/disc/9.png"));
    await rename(join(split, "val/ring/3.png"), join(split, "train/ring/3-of-val.png"));
    const { said, images } = await goOn({ dataPath: split });
    expect(images).toEqual([29, 26]);
    expect(said).toMatch(/moved to another class or folder .*9\.png/);
    expect(said).toMatch(/new .*3-of-val\.png/);
  });

  test("labels of a list that changed are said, and their images stay where they were", async () => {
    const rows = CLASSES.flatMap((name) => Array.from({ length: 10 }, (_, i) => [`${name}/${i}.png`, name]));
    const table = at("labels-of-all.csv");
    const write = async (all: readonly (readonly string[])[]): Promise<void> =>
      writeFile(table, ["image,label", ...all.map((row) => row.join(","))].join("\n"));
    await write(rows);
    await begin({ dataPath: table });
    const before = await parts();
    await write(rows.map(([file = "", label = ""], i) => [file, i === 3 ? "ring" : label]));
    const { said, images } = await goOn({ dataPath: table });
    expect(said).toMatch(/1 image has another class than when .* began \(disc\/3\.png\)/);
    expect(images).toEqual([21, 9]);
    expect(await parts()).toEqual(before);
  });
});

describe("the dataset", () => {
  test("moved as a whole, it is the same: bit for bit", async () => {
    await begin();
    const copy = `${outputDir}-whole`;
    await train(plan({ outputDir: copy }));
    const moved = join(root, `elsewhere${count}`);
    await rename(photos, moved);
    const { said } = await goOn({ dataPath: moved });
    expect(said).toBe("");
    expect(await runContent(outputDir)).toEqual(await runContent(copy));
    expect(await readFile(join(outputDir, "args.yaml"), "utf8")).toContain(moved);
  });

  test("replaced by others is refused", async () => {
    await begin();
    const others = join(root, `others${count}`);
    for (const name of CLASSES) {
      await mkdir(join(others, name), { recursive: true });
      for (let i = 0; i < 10; i++) await copyFile(at(name, `${i}.png`), join(others, name, `other-${i}.png`));
    }
    await expect(goOn({ dataPath: others })).rejects.toMatchObject({ code: "run/other-images" });
  });

  test("replaced under the same names is refused; a few changed images are said", async () => {
    await begin();
    const first = (await readRecord(outputDir))?.samples[0]?.key ?? "";
    await copyFile(at("stripes/9.png"), at(first));
    expect((await goOn()).said).toMatch(/1 of 16 images that were looked at have other content/);
    await begin({ outputDir: `${outputDir}b` });
    for (const name of CLASSES)
      for (let i = 0; i < 10; i++)
        await writeFile(at(name, `${i}.png`), await readFile(join(whole, name, `${(i + 1) % 10}.png`)));
    await expect(goOn({ outputDir: `${outputDir}b` })).rejects.toMatchObject({ code: "run/other-images" });
  });
});

describe("the state", () => {
  test("of another run is refused", async () => {
    await begin();
    const other = `${outputDir}-other`;
    await begin({ outputDir: other });
    await copyFile(join(other, "state.safetensors"), join(outputDir, "state.safetensors"));
    await expect(goOn()).rejects.toMatchObject({ code: "run/foreign-state" });
  });

  test("that was damaged is refused", async () => {
    await begin();
    const file = join(outputDir, "state.safetensors");
    const bytes = await readFile(file);
    const place = bytes.length - 100;
    bytes.writeUInt8((bytes[place] ?? 0) ^ 1, place);
    await writeFile(file, bytes);
    await expect(goOn()).rejects.toMatchObject({ code: "run/damaged-state" });
  });

  test("of a program of another form is refused", async () => {
    await begin();
    const file = join(outputDir, "record.json");
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace(/"W.noDecay": \d+/, '"W.noDecay": 7'));
    await expect(goOn()).rejects.toMatchObject({ code: "run/other-program" });
  });
});

test("a run that kept no list goes on with a note, and keeps one from then on", async () => {
  await begin();
  const copy = `${outputDir}-whole`;
  await train(plan({ outputDir: copy }));
  await Promise.all(["record.json", "images.txt.gz"].map(async (name) => rm(join(outputDir, name))));
  const { said } = await goOn();
  expect(said).toMatch(/has no list of its images/);
  expect(await readRecord(outputDir)).toMatchObject({ since: 1, classes: CLASSES });
  expect(await runContent(outputDir)).toEqual(await runContent(copy));
});

test("a record that was damaged is said", async () => {
  await begin();
  await writeFile(join(outputDir, "record.json"), "{");
  await expect(goOn()).rejects.toMatchObject({ code: "run/unreadable" });
});
