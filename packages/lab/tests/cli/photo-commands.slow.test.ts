/** Every command of the lab on a folder of photographs, of the sizes that phones take. */
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { beforeAll, describe, expect, it } from "vitest";
import {
  commandNames,
  MACHINE_FLAGS,
  PHONE_CLASSES,
  writePhonePhotos,
} from "../../../deit/tests/cli/phone-photos.ts";
import { runCommand } from "../../../deit/tests/cli/run-command.ts";
import { temporaryFolder } from "../../../deit/tests/data/temporary.ts";
import { writeRandomModel } from "../../../deit/tests/helpers/random-model.ts";
import { addLabCommands } from "../../src/cli/index.ts";

const MODEL = "deit_w64d4_distilled_patch4_32";
let root = "";
let photos = "";
let checkpoint = "";
let other = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhonePhotos(join(root, "photos"));
  checkpoint = join(root, "one.safetensors");
  other = join(root, "other.safetensors");
  await writeRandomModel(checkpoint, { model: MODEL, classes: PHONE_CLASSES, seed: 1 });
  await writeRandomModel(other, { model: MODEL, classes: PHONE_CLASSES, seed: 2 });
  await writeFile(
    join(root, "tiny.yaml"),
    "model: deit_w64d4_patch4_32\ninputSize: 16\nepochs: 1\nwarmupEpochs: 0\nbatchSize: 4\nvalSplit: 0.2\naa: null\nreprob: 0\nmixup: 0\ncutmix: 0\nrepeatedAug: false\nmodelEma: false\n",
  );
}, 60_000);

interface Case {
  readonly words: () => readonly string[];
  /** What is printed. */
  readonly out: RegExp;
  /** Files that are made. */
  readonly files?: readonly string[];
}

const images = (): string[] => ["--data-path", photos];
/** Each in a folder of its own; a sentence: why it is not run on photographs. */
const CASES: Readonly<Record<string, Case | string>> = {
  "analyze ablation": {
    words: () => [
      join(root, "tiny.yaml"),
      "--vary",
      "mixup=0,0.8",
      ...images(),
      "--workers",
      "0",
      "--out",
      join(root, "study"),
    ],
    out: /^mixup 0\.8 +1 +\d/m,
    files: ["study/index.html", "study/results.csv"],
  },
  "analyze agreement": {
    words: () => [checkpoint, `b=${other}`, ...images(), "--out", join(root, "agreement")],
    out: /15 images/,
    files: ["agreement/index.html"],
  },
  "analyze attention": {
    words: () => [
      checkpoint,
      join(photos, "cat", "IMG_0001.JPG"),
      join(photos, "tree", "IMG_0002.JPG"),
      "--out",
      join(root, "attention"),
    ],
    out: /attention/,
    files: ["attention/index.html", "attention/attention.csv"],
  },
  "analyze labels": { words: () => [checkpoint, ...images(), "--views", "2"], out: /15 images/ },
  "analyze probe": { words: () => [checkpoint, ...images(), "--val-split", "0.2"], out: /linear/i },
  "analyze throughput": {
    words: () => [
      checkpoint,
      ...images(),
      "--batch-size",
      "2",
      "--runs",
      "2",
      "--rounds",
      "1",
      "--out",
      join(root, "throughput"),
    ],
    out: /deit_w64d4_distilled_patch4_32/,
    files: ["throughput/index.html"],
  },
  "analyze tokens": {
    words: () => [checkpoint, ...images(), "--out", join(root, "tokens")],
    out: /on 15 images at 16 × 16/,
    files: ["tokens/index.html"],
  },
  "bench train": "it times steps on noise",
  "bench infer": "it times forward passes on noise",
  "bench gemm": "it times products of noise",
  "bench data": {
    words: () => [...images(), "--input-size", "32", "--batch-size", "4", "--rounds", "1", "--workers", "1"],
    out: /images\/s/,
  },
};

it("no command is missing here", () => {
  const program = new Command("deit");
  addLabCommands(program);
  expect(Object.keys(CASES).toSorted()).toEqual(commandNames(program).toSorted());
});

const cases = Object.entries(CASES).flatMap(([name, one]) =>
  typeof one === "string" ? [] : [{ name, ...one }],
);

describe("works on photographs", () => {
  it.each(cases)("deit $name", { timeout: 300_000 }, async ({ name, words, out, files = [] }) => {
    const machine = name === "bench data" ? [] : MACHINE_FLAGS;
    const said = await runCommand([...name.split(" "), ...words(), ...machine]);
    expect(said.code, said.err).toBe(0);
    expect(said.out).toMatch(out);
    expect(said.err).not.toMatch(/^ +at /m);
    const there = await readdir(root, { recursive: true });
    for (const file of files) expect(there).toContain(file);
  });
});
