/** The files of a run folder and those that people write by hand: recipes, labels, tables of results. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { stringify } from "yaml";
import { parseTrainOptions, resolveTrainOptions } from "../../src/config/resolve.ts";
import { loadRecipe } from "../../src/config/recipe.ts";
import { readRealLabels } from "../../src/evaluation/metrics/imagenet-real.ts";
import { tryLock } from "../../src/data/lock.ts";
import { reportRun } from "../../src/report/report.ts";
import { planTraining } from "../../src/training/plan.ts";
import { readRun } from "../../src/training/run/run-folder.ts";
import { imagesToResume, readRecordedImages } from "../../src/training/run/run-record.ts";
import { tinyRun, train, writePhotos } from "../../tests/training/photos.ts";
import type { Damage } from "./damage.ts";
import { damagedBytes, damagedJsonFile, damagedJsonLines } from "./damage.ts";
import type { Specimen } from "./specimen.ts";

/** What commands read of a run before they load its model. */
async function readAll(folder: string): Promise<void> {
  const { args } = await readRun(folder);
  const layer = await loadRecipe(join(folder, "args.yaml"));
  for (const values of [args, layer.values]) {
    const { options } = resolveTrainOptions([{ source: folder, spelling: "key", values }]);
    planTraining(options);
  }
  await readRecordedImages(folder);
  await imagesToResume(folder);
}

const damagedInGzip: Damage = (bytes, random) =>
  random.integer(3) === 0
    ? damagedBytes(bytes, random)
    : gzipSync(damagedBytes(gunzipSync(bytes), random), { level: 1 });

/** The files of a run on photos in `root`, which have to stay there. */
async function runFiles(root: string): Promise<Readonly<Record<string, Uint8Array>>> {
  const dataPath = await writePhotos(join(root, "photos"), { perClass: 4 });
  const outputDir = join(root, "run");
  await train(tinyRun({ dataPath, outputDir, epochs: 2 }));
  const names = await readdir(outputDir);
  const read = async (name: string): Promise<[string, Uint8Array]> => [
    name,
    await readFile(join(outputDir, name)),
  ];
  return Object.fromEntries(await Promise.all(names.map(read)));
}

export async function runs(root: string): Promise<Specimen[]> {
  const beside = await runFiles(root);
  const of = (file: string, damage: Damage, read: Specimen["read"] = readAll): Specimen => ({
    kind: file,
    file,
    bytes: beside[file] ?? new Uint8Array(),
    beside,
    damage,
    read,
  });
  return [
    of("args.yaml", damagedBytes),
    of("record.json", damagedJsonFile),
    of("images.txt.gz", damagedInGzip),
    {
      ...of("log.jsonl", damagedJsonLines, async (folder) => {
        await readRun(folder);
        await reportRun(folder, { machine: { threads: 1, workers: 0 } });
      }),
      share: 0.05, // each is a report
    },
  ];
}

const OPTIONS = {
  model: "deit_w64d4_distilled_patch4_32",
  dataPath: "photos",
  epochs: 6,
  lr: 2e-3,
  schedUnit: "step",
  scale: [0.5, 1],
  mixup: 0.8,
  aa: "rand-m9-mstd0.5-inc1",
  mean: [0.5, 0.5, 0.5],
  modelEma: false,
  distillationType: "hard",
  teacherPath: "./teacher.onnx",
};

export function handWritten(): Specimen[] {
  const recipe = (file: string, bytes: Uint8Array, damage: Damage): Specimen => ({
    kind: file,
    file,
    bytes,
    beside: {},
    damage,
    async read(folder) {
      const { options } = resolveTrainOptions([await loadRecipe(join(folder, file))]);
      planTraining(options);
      parseTrainOptions(options);
    },
  });
  const asJson = Buffer.from(JSON.stringify(OPTIONS));
  const yamlOfDamagedJson: Damage = (bytes, random) => {
    const text = Buffer.from(damagedJsonFile(bytes, random)).toString();
    if (text.length > 200_000) return Buffer.from(text); // YAML, too
    try {
      return Buffer.from(stringify(JSON.parse(text)));
    } catch {
      return Buffer.from(text);
    }
  };
  const lists = Array.from({ length: 40 }, (_, i) => (i % 7 === 0 ? [] : [i, (i * 31) % 1000]));
  const holder = { pid: 2 ** 22 + 5, startTime: "1", hostname: "elsewhere" };
  return [
    recipe("recipe.json", asJson, damagedJsonFile),
    recipe("recipe.yaml", Buffer.from(stringify(OPTIONS)), damagedBytes),
    { ...recipe("options.yml", asJson, yamlOfDamagedJson), kind: "recipe.yaml, other values" },
    {
      kind: "real.json",
      file: "real.json",
      bytes: Buffer.from(JSON.stringify(lists)),
      beside: {},
      damage: damagedJsonFile,
      async read(folder) {
        const labels = await readRealLabels(join(folder, "real.json"));
        labels("ILSVRC2012_val_00000003.JPEG");
      },
    },
    {
      kind: "lock",
      file: "lock",
      bytes: Buffer.from(JSON.stringify(holder)),
      beside: {},
      damage: damagedJsonFile,
      share: 0.1, // what cannot be read is waited for
      async read(folder) {
        const lock = await tryLock(join(folder, "lock"));
        if ("release" in lock) await lock.release();
      },
    },
  ];
}
