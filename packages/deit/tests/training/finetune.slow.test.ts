/** Fine-tuning on small generated images: what a run takes from a checkpoint, what it trains, when it stops. */
import { copyFile, mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { TrainInput } from "../../src/config/schema.ts";
import { evaluateCheckpoint } from "../../src/evaluation/measure-checkpoints.ts";
import { readCheckpoint } from "../../src/formats/safetensors-file.ts";
import type { TrainResult } from "../../src/training/train.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { runContent, tinyRun, train, writePhotos } from "./photos.ts";

const DISTILLED = "deit_w64d4_distilled_patch4_32";

let root = "";
let photos = "";
let first = "";
let count = 0;
let outputDir = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"));
  first = join(root, "first");
  outputDir = first;
  await trained({ epochs: 3 });
});
beforeEach(() => {
  outputDir = join(root, `run${count++}`);
});

const run = (changes: TrainInput = {}): ReturnType<typeof tinyRun> =>
  tinyRun({ dataPath: photos, outputDir, ...changes });

async function trained(changes: TrainInput): Promise<{ result: TrainResult; said: string[] }> {
  const said: string[] = [];
  const result = await train(run(changes), {
    onEvent: (event) => {
      if (event.type === "warning" || event.type === "note") said.push(event.message);
    },
  });
  return { result, said };
}

const weightsOf = async (
  path: string,
  name = "last",
): Promise<ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>> =>
  (await readCheckpoint(join(path, `${name}.safetensors`))).tensors;

function difference(a: Float32Array, b: Float32Array | undefined): number {
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (b?.[i] ?? Number.NaN))), 0);
}

/** A learning rate of next to nothing shows what was started from. */
const STILL: TrainInput = {
  epochs: 1,
  lr: 1e-12,
  warmupLr: 0,
  minLr: 0,
  weightDecay: 0,
  warmupEpochs: 0,
};

describe("fine-tuning", () => {
  test("starts from the checkpoint's tensors; others are named and start fresh", async () => {
    const two = join(root, "two");
    await mkdir(two);
    for (const name of ["disc", "ring"]) {
      await mkdir(join(two, name));
      for (let i = 0; i < 20; i++)
        await copyFile(join(photos, name, `${i}.png`), join(two, name, `${i}.png`));
    }
    const still: TrainInput = { ...STILL, dataPath: two };
    const { said } = await trained({ ...still, finetune: first });
    expect(said).toEqual([
      "starts fresh: head.weight [2, 64] (the checkpoint has [3, 64]), head.bias [2] (the checkpoint has [3])",
    ]);
    const [from, to] = [
      (await readCheckpoint(join(first, "best.safetensors"))).tensors,
      await weightsOf(outputDir),
    ];
    for (const [name, { data }] of from) {
      if (!name.startsWith("head.")) expect(difference(data, to.get(name)?.data), name).toBeLessThan(1e-9);
    }
    expect(to.get("head.weight")?.data).toHaveLength(128);

    // Resuming needs the checkpoint no more.
    const gone = join(root, "gone");
    await rename(first, gone);
    expect((await train(run({ ...still, finetune: first }))).last.epoch).toBe(0);
    await rename(gone, first);
  });

  test("refuses another model's checkpoint before anything is written", async () => {
    await expect(trained({ model: "deit_w96d6_patch4_32", finetune: first })).rejects.toThrow(
      /first is not a deit_w96d6_patch4_32; these tensors do not fit: cls_token \[1, 1, 96\] \(the checkpoint has \[1, 1, 64\]\), .* and \d+ more\nIt is a deit_w64d4_patch4_32: choose that/,
    );
    await expect(trained({ finetune: join(root, "nowhere") })).rejects.toThrow(
      /there is no checkpoint .*nowhere/,
    );
    await expect(readdir(outputDir)).rejects.toThrow("ENOENT");
  });
});

describe("a plain checkpoint and a distilled model", () => {
  test("the distillation token starts as the class token, and goes again", async () => {
    const { said } = await trained({
      ...STILL,
      model: DISTILLED,
      distillationType: "labels",
      finetune: first,
    });
    expect(said.toSorted()).toEqual([
      "dist_token starts as a copy of cls_token",
      "head_dist.bias starts as a copy of head.bias",
      "head_dist.weight starts as a copy of head.weight",
      "the distillation token's position starts as a copy of the class token's",
    ]);
    const [plain, distilled] = [await weightsOf(first, "best"), await weightsOf(outputDir)];
    expect(
      difference(plain.get("cls_token")?.data ?? new Float32Array(1), distilled.get("dist_token")?.data),
    ).toBeLessThan(1e-9);
    expect(distilled.get("pos_embed")?.shape).toEqual([1, 18, 64]);

    const taught = outputDir;
    outputDir = join(root, `run${count++}`);
    const back = await trained({ ...STILL, finetune: taught });
    expect(back.said).toEqual([
      "the distillation token's position is left out",
      "left out, as deit_w64d4_patch4_32 has no place for it: dist_token, head_dist.bias, head_dist.weight",
    ]);
    const again = await weightsOf(outputDir);
    for (const [name, { data }] of plain)
      expect(difference(data, again.get(name)?.data), name).toBeLessThan(1e-9);
  });
});

describe("--trainable", () => {
  /** Names of the tensors that a run has changed. */
  async function changed(changes: TrainInput): Promise<{ names: string[]; parameters: number }> {
    await trained({ finetune: first, epochs: 1, ...changes });
    const [before, after] = [await weightsOf(first, "best"), await weightsOf(outputDir)];
    expect([...after.keys()]).toEqual(expect.arrayContaining([...before.keys()]));
    expect(after.size).toBe(before.size);
    const names = [...after].filter(([name, { data }]) => difference(data, before.get(name)?.data) > 0);
    const { log } = await runContent(outputDir);
    return { names: names.map(([name]) => name).toSorted(), parameters: Number(log[0]?.["n_parameters"]) };
  }
  const HEAD = ["head.bias", "head.weight"];

  test("head changes the head alone", async () => {
    expect(await changed({ trainable: "head" })).toEqual({ names: HEAD, parameters: 3 * 64 + 3 });
  });

  test("attention changes attention, positions and head", async () => {
    const { names } = await changed({ trainable: "attention", modelEma: true });
    expect(names.filter((name) => !name.includes(".attn."))).toEqual([...HEAD, "pos_embed"]);
    expect(names.filter((name) => name.includes(".attn."))).toHaveLength(4 * 4);
  });

  test("last-1 changes the last block, the final norm and the head; also with accumulation", async () => {
    const { names } = await changed({ trainable: "last-1", accumulationSteps: 2, batchSize: 5 });
    expect(names.every((name) => /^(?:blocks\.3|norm|head)\./.test(name))).toBe(true);
    expect(names).toHaveLength(12 + 2 + 2);
  });

  test("lora changes the linear layers by a matrix of its rank, and the head; what is saved is the merged model", async () => {
    const rank = 2;
    const { names, parameters } = await changed({ trainable: "lora", loraRank: rank, lr: 1e-2 });
    expect(names.filter((name) => !name.startsWith("head."))).toHaveLength(4 * 4);
    expect(names.every((name) => name.endsWith("weight") || name === "head.bias")).toBe(true);
    const perBlock = (64 + 192 + 64 + 64 + 64 + 256 + 256 + 64) * rank;
    expect(parameters).toBe(4 * perBlock + 3 * 64 + 3);
    const [before, after] = [await weightsOf(first, "best"), await weightsOf(outputDir)];
    const name = "blocks.1.mlp.fc1.weight";
    const [a, b] = [before.get(name)?.data, after.get(name)?.data];
    if (a === undefined || b === undefined) throw new Error(name);
    expect(
      rankOf(
        b.map((value, i) => value - (a[i] ?? 0)),
        64,
      ),
    ).toBe(rank);
    const { log } = await runContent(outputDir);
    const { acc1, loss } = await evaluateCheckpoint({
      checkpoint: outputDir,
      dataPath: photos,
      valSplit: 0.2,
      seed: 0,
    });
    expect(log.some(({ test_acc1 }) => Math.abs(Number(test_acc1) - acc1) < 1e-9)).toBe(true);
    const ties = log.filter(({ test_acc1 }) => test_acc1 === acc1).map(({ test_loss }) => Number(test_loss));
    expect(loss).toBeCloseTo(Math.min(...ties), 4);
  });

  test("what cannot be is refused", async () => {
    await expect(trained({ trainable: "head" })).rejects.toMatchObject({
      code: "options/conflict",
      hint: expect.stringContaining("--finetune"),
    });
    await expect(trained({ trainable: "last-5", finetune: first })).rejects.toThrow(/has 4 blocks/);
    await expect(trained({ trainable: "heads", finetune: first })).rejects.toThrow(
      /expected all, head, attention, lora or last-N/,
    );
    await expect(
      trained({ trainable: "lora", finetune: first, model: "resnet20_cifar" }),
    ).rejects.toMatchObject({
      code: "options/unsupported-by-model",
      message: expect.stringContaining("--trainable lora is not supported for convnets (resnet20_cifar)"),
    });
  });
});

test("--patience ends a run that gets no better, which then is complete", async () => {
  const changes: TrainInput = { ...STILL, epochs: 9, patience: 2, finetune: first };
  const { result, said } = await trained(changes);
  expect(result.last.epoch).toBe(2);
  expect(said).toContain("stopped after epoch 3: top-1 has not risen since epoch 1");
  const again = await trained(changes);
  expect(again.result.last.epoch).toBe(2);
});

test("--no-train-mode trains the mean of a distilled model's heads", async () => {
  const changes: TrainInput = {
    model: DISTILLED,
    finetune: first,
    trainMode: false,
    epochs: 1,
    dropPath: 0.5,
  };
  const { said } = await trained(changes);
  expect(said.join()).not.toContain("learns nothing");
  const { log } = await runContent(outputDir);
  const before = await weightsOf(first, "best");
  const after = await weightsOf(outputDir);
  expect(
    difference(before.get("head.weight")?.data ?? new Float32Array(1), after.get("head_dist.weight")?.data),
  ).toBeGreaterThan(1e-5);
  expect(log).toHaveLength(1);
});

test("--class-weights balanced weighs a class by the inverse of its part", async () => {
  const uneven = join(root, "uneven");
  for (const [name, images] of [
    ["disc", 16],
    ["ring", 4],
  ] as const) {
    await mkdir(join(uneven, name), { recursive: true });
    for (let i = 0; i < images; i++)
      await copyFile(join(photos, name, `${i}.png`), join(uneven, name, `${i}.png`));
  }
  const lossOf = async (classWeights: "none" | "balanced"): Promise<number> => {
    outputDir = join(root, `run${count++}`);
    await trained({ ...STILL, dataPath: uneven, valSplit: 0, batchSize: 20, hflip: 0, classWeights });
    const { log } = await runContent(outputDir);
    return Number(log[0]?.train_loss);
  };
  // new weights, the same in both: the head's biases are 0, both classes' losses differ
  const [plain, balanced] = [await lossOf("none"), await lossOf("balanced")];
  expect(balanced).not.toBeCloseTo(plain, 4);
  await expect(trained({ bceLoss: true, smoothing: 0, classWeights: "balanced" })).rejects.toMatchObject({
    code: "options/conflict",
    path: "classWeights",
  });
});

/** Rank of a matrix, row-major with `columns`, by elimination with pivots. */
function rankOf(values: Float32Array, columns: number): number {
  const rows = Array.from({ length: values.length / columns }, (_, r) =>
    Float64Array.from(values.subarray(r * columns, (r + 1) * columns)),
  );
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let rank = 0;
  for (let c = 0; c < columns; c++) {
    const [pivot = new Float64Array(columns)] = rows
      .slice(rank)
      .toSorted((a, b) => Math.abs(b[c] ?? 0) - Math.abs(a[c] ?? 0));
    if (Math.abs(pivot[c] ?? 0) < 1e-3 * largest) continue;
    const at = rows.indexOf(pivot);
    [rows[rank], rows[at]] = [pivot, rows[rank] ?? pivot];
    rank++;
    for (const row of rows.slice(rank)) {
      const factor = (row[c] ?? 0) / (pivot[c] ?? 1);
      for (let k = 0; k < columns; k++) row[k] = (row[k] ?? 0) - factor * (pivot[k] ?? 0);
    }
  }
  return rank;
}
