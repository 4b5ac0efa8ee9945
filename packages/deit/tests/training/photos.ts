/** Small images to train on: three classes that differ in colour and pattern, under noise, from 8 to 32 pixels. */
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { parseTrainOptions } from "../../src/config/resolve.ts";
import type { TrainInput, TrainOptions } from "../../src/config/schema.ts";
import { createRandom } from "../../src/random.ts";
import { planTraining } from "../../src/training/plan.ts";
import { parseLog } from "../../src/training/run/run-log.ts";
import type { EpochRecord } from "../../src/training/run/run-log.ts";
import * as training from "../../src/training/train.ts";
import type { Estimate, TrainHooks, TrainResult } from "../../src/training/train.ts";

/** Red, green or blue 0 to 255 at a place of an image of side 1. */
type Paint = (x: number, y: number) => readonly [number, number, number];

const PAINTS: Readonly<Record<string, Paint>> = {
  disc: (x, y) => (Math.hypot(x - 0.5, y - 0.5) < 0.35 ? [150, 95, 95] : [110, 110, 110]),
  ring: (x, y) => (Math.abs(Math.hypot(x - 0.5, y - 0.5) - 0.35) < 0.12 ? [95, 150, 95] : [110, 110, 110]),
  stripes: (x) => (Math.floor(x * 4) % 2 === 0 ? [95, 95, 150] : [110, 110, 110]),
};
/** In the order of their indices. */
export const CLASSES = Object.keys(PAINTS).toSorted();

/** root/disc/0.png, …: `perClass` images of each class. */
export async function writePhotos(
  root: string,
  { perClass = 20 }: { perClass?: number } = {},
): Promise<string> {
  for (const [name, paint] of Object.entries(PAINTS)) {
    await mkdir(join(root, name), { recursive: true });
    for (let i = 0; i < perClass; i++) await writePhoto(join(root, name, `${i}.png`), paint, i);
  }
  return root;
}

async function writePhoto(path: string, paint: Paint, seed: number): Promise<void> {
  const random = createRandom(seed, path.split("/").at(-2) ?? "");
  const [width, height] = [8 + random.integer(25), 8 + random.integer(25)];
  const light = random.normal(0, 25);
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3);
    const colour = paint((pixel % width) / width, Math.floor(pixel / width) / height);
    return Math.min(255, Math.max(0, (colour[i % 3] ?? 0) + light + random.normal(0, 30)));
  });
  await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(path);
}

/** Mixup, CutMix, RandAugment, erasing, repeated augmentation and EMA off: a run of seconds learns nothing with them. */
const LIGHT = {
  aa: null,
  colorJitter: 0,
  reprob: 0,
  mixup: 0,
  cutmix: 0,
  repeatedAug: false,
  modelEma: false,
} satisfies TrainInput;

/** A run of seconds: every option that is not named here is the command line's default. */
export function tinyRun(changes: TrainInput): TrainOptions {
  return parseTrainOptions({
    model: "deit_w64d4_patch4_32",
    inputSize: 16,
    epochs: 3,
    batchSize: 8,
    lr: 1e-3,
    unscaleLr: true,
    schedUnit: "step",
    warmupEpochs: 0.5,
    valSplit: 0.2,
    selectEpoch: "best",
    scale: [0.5, 1],
    device: "cpu",
    threads: 1,
    workers: 0,
    ...LIGHT,
    ...changes,
  });
}

/** What must not depend on when or how often a run was stopped: weights as hashes of their files, and the log. */
export async function runContent(
  path: string,
): Promise<{ last: string; best: string; ema: string; log: EpochRecord[] }> {
  const hash = async (name: string): Promise<string> =>
    createHash("sha256")
      .update(await readFile(join(path, name)).catch(() => ""))
      .digest("hex");
  const log = parseLog(await readFile(join(path, "log.jsonl"), "utf8"));
  return {
    last: await hash("last.safetensors"),
    best: await hash("best.safetensors"),
    ema: await hash("ema.safetensors"),
    log: log.map((record) => withoutTimes(record)),
  };
}

function withoutTimes(record: EpochRecord): EpochRecord {
  const entries = Object.entries(record).filter(([name]) => name !== "exchange_seconds");
  return { ...(Object.fromEntries(entries) as EpochRecord), seconds: 0, waiting_seconds: 0 };
}

/** Trains by all options of a run. */
export async function train(options: TrainOptions, hooks?: TrainHooks): Promise<TrainResult> {
  return training.train(planTraining(options), hooks);
}

/** Estimates by all options of a run. */
export async function estimate(options: TrainOptions): Promise<Estimate> {
  return training.estimate(planTraining(options));
}
