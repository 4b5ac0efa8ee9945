/** What is killed: training, exports, downloads, packing, predictions. */
import { existsSync } from "node:fs";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openCheckpoint } from "../../src/evaluation/checkpoints/checkpoint.ts";
import { progressOf } from "../../src/training/loop/run-progress.ts";
import { readStateHeader } from "../../src/training/run/run-state-file.ts";
import { runContent, tinyRun, train, writePhotos } from "../../tests/training/photos.ts";
import { live } from "./moment.ts";
import { serveFile } from "./server.ts";
import { sha256, tree } from "./tree.ts";

type Tree = Readonly<Record<string, string>>;

export interface KillCase {
  readonly name: string;
  /** Makes what the command needs in `root`; its own folder is `root`/work. */
  prepare(root: string): Promise<Subject>;
}

export interface Subject {
  /** Words after `node`. */
  args(folder: string): readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Files whose content may differ. */
  readonly ignore?: RegExp;
  /** It refuses to be done again once it is done. */
  readonly once?: boolean;
  /** Before the first of some kills. */
  begin(folder: string): Promise<void>;
  /** After a kill: what is half there, in words. `before`: the progress of the kill before. */
  check(folder: string, { expected, before }: { expected: Tree; before: unknown }): Promise<string[]>;
  progress?(folder: string): Promise<unknown>;
  /** What must be the same as in an undisturbed run, besides the files. */
  facts?(folder: string): Promise<Record<string, string>>;
  close?(): Promise<void>;
}

const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const PULL = fileURLToPath(new URL("pull-child.ts", import.meta.url));
const TINY = [
  "--model",
  "deit_w64d4_patch4_32",
  "--input-size",
  "16",
  "--batch-size",
  "8",
  "--device",
  "cpu",
];
const RANDOM = ["--mixup", "0.8", "--cutmix", "1", "--aa", "rand-m9-mstd0.5-inc1", "--reprob", "0.25"];

/** Visible files, which people and programs take for whole. */
const visible = (files: Tree): [string, string][] =>
  Object.entries(files).filter(([name]) => !name.split("/").some((part) => part.startsWith(".")));

/** Names of the visible files whose content is neither that of `one` nor of `other`. */
const strange = (found: Tree, one: Tree, other: Tree = {}): string[] =>
  visible(found).flatMap(([name, hash]) =>
    hash === one[name] || hash === other[name] ? [] : [`${name} is half there`],
  );

const training = (more: readonly string[]): KillCase["prepare"] =>
  async function prepare(root) {
    const photos = await writePhotos(join(root, "photos"), { perClass: 12 });
    const state = (folder: string): string => join(folder, "run", "state.safetensors");
    const progress = async (folder: string): Promise<number> =>
      existsSync(state(folder)) ? progressOf((await readStateHeader(state(folder))).counters).updates : 0;
    return {
      args: (folder) => [
        CLI,
        "train",
        photos,
        ...TINY,
        ...RANDOM,
        "--epochs",
        "4",
        ...more,
        "--output-dir",
        join(folder, "run"),
      ],
      ignore:
        /args\.yaml|log\.jsonl|summary\.csv|report\.html|state\.safetensors|record\.json|transformers-js\/README/,
      begin: async () => {},
      async check(folder, { before }) {
        const faults: string[] = [];
        const now = await progress(folder).catch(
          (error: unknown) => (faults.push(`the state: ${String(error)}`), 0),
        );
        if (now < Number(before ?? 0)) faults.push(`${String(before)} updates were saved, now ${now}`);
        for (const [name] of visible(await tree(folder, /./)))
          if (/(?:best|last|ema)\.safetensors$/.test(name))
            await openCheckpoint(join(folder, name)).then(
              async (checkpoint) => checkpoint[Symbol.asyncDispose](),
              (error: unknown) => faults.push(`${name} is half there: ${String(error)}`),
            );
        return faults;
      },
      progress,
      async facts(folder) {
        const { log, ...hashes } = await runContent(join(folder, "run"));
        return { ...hashes, log: sha256(JSON.stringify(log)) };
      },
    };
  };

/** A run of an epoch, to be exported and asked. */
async function smallRun(root: string, seed: number): Promise<string> {
  const outputDir = join(root, `run${seed}`);
  const dataPath = await writePhotos(join(root, "photos"), { perClass: 12 });
  await train(tinyRun({ dataPath, outputDir, epochs: 1, seed }));
  return outputDir;
}

const exporting = (format: string, flag: string, name: string): KillCase["prepare"] =>
  async function prepare(root) {
    const [run, old] = [await smallRun(root, 0), await smallRun(root, 1)];
    const words = (from: string, folder: string): string[] => [
      CLI,
      "export",
      from,
      "--format",
      format,
      "--overwrite",
      flag,
      join(folder, name),
    ];
    const kept = join(root, "kept");
    await mkdir(kept);
    const made = await live(words(old, kept), { folder: kept });
    if (made.code !== 0) throw new Error(made.stderr);
    const before = await tree(kept);
    return {
      args: (folder) => words(run, folder),
      async begin(folder) {
        await cp(kept, folder, { recursive: true });
      },
      async check(folder, { expected }) {
        const found = await tree(folder);
        const isOld = visible(found).every(([file, hash]) => before[file] === hash);
        // all old, all new, or between the two, when the next export puts the old one back
        return isOld ? [] : strange(found, expected);
      },
    };
  };

const pulling: KillCase["prepare"] = async (root) => {
  const server = await serveFile(join(root, "data.tar.gz"));
  return {
    args: (folder) => [PULL, server.url, server.md5, folder],
    ignore: /manifest\.json/,
    begin: async () => {},
    check: async (folder, { expected }) =>
      strange(
        Object.fromEntries(
          Object.entries(await tree(folder, /manifest\.json/)).filter(([name]) =>
            name.startsWith("datasets/cifar10/"),
          ),
        ),
        expected,
      ),
    close: server.close,
  };
};

const pullingWeights: KillCase["prepare"] = async (root) => {
  const run = await smallRun(root, 0);
  const server = await serveFile(join(run, "best.safetensors"), { name: "model.safetensors" });
  const photo = join(root, "photos", "disc", "0.png");
  return {
    args: () => [CLI, "predict", server.url, photo],
    env: { DEIT_CACHE: join(root, "work") },
    begin: async () => {},
    check: async (folder, { expected }) =>
      strange(
        Object.fromEntries(
          Object.entries(await tree(folder)).filter(([name]) => name.endsWith("model.safetensors")),
        ),
        expected,
      ),
    close: server.close,
  };
};

const packing: KillCase["prepare"] = async (root) => {
  const photos = await writePhotos(join(root, "photos"), { perClass: 400 });
  return {
    once: true,
    args: (folder) => [CLI, "data", "pack", photos, "--output-dir", join(folder, "packed")],
    begin: async () => {},
    check: async (folder, { expected }) => {
      const found = await tree(folder);
      const files = visible(found).filter(([name]) => /^packed\/./.test(name));
      return files.length === 0 ? [] : strange(Object.fromEntries(files), expected);
    },
  };
};

const predicting: KillCase["prepare"] = async (root) => {
  const run = await smallRun(root, 0);
  const photos = await writePhotos(join(root, "many"), { perClass: 300 });
  const old = "file,label,score\nkept,cat,1\n";
  return {
    args: (folder) => [
      CLI,
      "predict",
      run,
      photos,
      "--out",
      join(folder, "answers.csv"),
      "--sheet",
      join(folder, "sheet.png"),
    ],
    async begin(folder) {
      await writeFile(join(folder, "answers.csv"), old);
    },
    check: async (folder, { expected }) =>
      strange(await tree(folder), expected, { "answers.csv": sha256(old) }),
  };
};

export const CASES: readonly KillCase[] = [
  { name: "train", prepare: training(["--workers", "0", "--save-steps", "1"]) },
  { name: "train with workers", prepare: training(["--workers", "2", "--model-ema"]) },
  { name: "export for transformers.js", prepare: exporting("transformers-js", "--output-dir", "model") },
  { name: "export as ONNX", prepare: exporting("onnx", "--out", "model.onnx") },
  { name: "export for timm", prepare: exporting("timm", "--output-dir", "model") },
  { name: "pull", prepare: pulling },
  { name: "pull weights", prepare: pullingWeights },
  { name: "pack", prepare: packing },
  { name: "predict", prepare: predicting },
];
