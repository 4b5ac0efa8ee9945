/** Every command on a folder of photographs, of the sizes that phones take. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createProgram } from "../../src/cli/command-tree.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { commandNames, MACHINE_FLAGS, PHONE_PHOTOS, TINY_FLAGS, writePhonePhotos } from "./phone-photos.ts";
import { runCommand } from "./run-command.ts";

let root = "";
let photos = "";
let run = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhonePhotos(join(root, "photos"));
  run = join(root, "run");
  const words = ["train", photos, ...TINY_FLAGS, ...MACHINE_FLAGS, "--workers", "0", "--output-dir", run];
  const { code, out, err } = await runCommand(words);
  expect([code, err]).toEqual([0, expect.stringMatching(/left out 3 files of an unsupported type: 3 \.mov/)]);
  expect(out).toMatch(/^trained deit_w64d4_patch4_32 in .*: top-1 [\d.]+ % \(\d of 3; /);
}, 300_000);

interface Case {
  readonly words: () => readonly string[];
  /** What is printed. */
  readonly out: RegExp;
  /** Files that are made. */
  readonly files?: readonly string[];
}

const workers = [...MACHINE_FLAGS, "--workers", "0"];
/** Each in a folder of its own; a sentence: why it is not run on photographs. */
const CASES: Readonly<Record<string, Case | string>> = {
  train: {
    words: () => ["train", photos, ...TINY_FLAGS, ...workers, "--print-config"],
    out: /^model: deit_w64d4_patch4_32 # command line/m, // the training itself is above
  },
  finetune: {
    words: () => [
      "finetune",
      photos,
      "--finetune",
      run,
      ...TINY_FLAGS.slice(2),
      ...workers,
      "--output-dir",
      join(root, "tuned"),
    ],
    out: /^trained deit_w64d4_patch4_32 /,
    files: ["tuned/best.safetensors", "tuned/report.html"],
  },
  distill: {
    words: () => [
      "distill",
      photos,
      "--teacher-path",
      run,
      "--finetune",
      run,
      "--labels-dir",
      join(root, "labels"),
      ...TINY_FLAGS,
      ...workers,
      "--output-dir",
      join(root, "taught"),
    ],
    out: /agreement with the teacher/,
    files: ["taught/best.safetensors", "labels/unsure.csv"],
  },
  eval: {
    words: () => ["eval", run, ...workers, "--per-class", "--out", join(root, "evaluated")],
    out: /at 16 × 16 on 3 images: top-1 .*\n(?:.*\n)*Classes\n/,
    files: ["evaluated/index.html"],
  },
  predict: {
    words: () => [
      "predict",
      run,
      photos,
      ...workers,
      "--out",
      join(root, "answers.csv"),
      "--sheet",
      join(root, "sheet.png"),
    ],
    out: /^$/,
    files: ["answers.csv", "sheet.png"],
  },
  export: {
    words: () => ["export", run, "--format", "onnx", "--out", join(root, "model.onnx")],
    out: /model\.onnx/,
    files: ["model.onnx"],
  },
  report: { words: () => ["report", run, ...workers], out: /report\.html\n +top-1 +[\d.]+ % \(\d of 3; / },
  models: "it lists models and takes no images",
  "data pull": "it downloads a dataset that has a name",
  "data info": {
    words: () => ["data", "info", photos],
    out: /shorter side +1512 pixels .*\n(?:.*\n)*1 image cannot be read\n +train: tree\/IMG_0009\.JPG: is empty/,
  },
  "data pack": {
    words: () => ["data", "pack", photos, "--output-dir", join(root, "packed")],
    out: /is packed: 15 images to train, 0 to validate, 3 classes/,
    files: ["packed/all-00000-of-00001.parquet"],
  },
  "data check": {
    words: () => ["data", "check", photos, "--checkpoint", run, ...workers, "--out", join(root, "checked")],
    out: /broken +1 image$/m,
    files: ["checked/index.html", "checked/problems.csv"],
  },
  "data preview": {
    words: () => [
      "data",
      "preview",
      photos,
      ...TINY_FLAGS.slice(0, 6),
      "--out",
      join(root, "preview.png"),
      "--rows",
      "4",
    ],
    out: /preview\.png/,
    files: ["preview.png"],
  },
  ui: "its page is tested by itself: packages/web/tests",
  serve: "it answers requests, until it is ended: packages/deit/tests/serve",
  doctor: "it looks at the machine and takes no images",
};
/** Commands of deit-ts-lab, which has a test like this one. */
const LABS = ["analyze", "bench"];

it("no command is missing here", () => {
  const names = commandNames(createProgram()).filter((name) => !LABS.includes(name));
  expect(Object.keys(CASES).toSorted()).toEqual(names.toSorted());
});

const cases = Object.entries(CASES).flatMap(([name, one]) =>
  typeof one === "string" ? [] : [{ name, ...one }],
);

describe("works on photographs", () => {
  it.each(cases)("deit $name", { timeout: 300_000 }, async ({ words, out, files = [] }) => {
    const said = await runCommand(words());
    expect(said.code, said.err).toBe(0);
    expect(said.out).toMatch(out);
    expect(said.err).not.toMatch(/^ +at /m);
    const there = await readdir(root, { recursive: true });
    for (const file of files) expect(there).toContain(file);
  });

  it("answers name every photograph once, in order", async () => {
    const rows = (await readFile(join(root, "answers.csv"), "utf8")).trim().split("\n").slice(1);
    expect(rows).toHaveLength(PHONE_PHOTOS);
    expect(rows.toSorted()).toEqual(rows);
  });
});
