/**
 * The browser's bundle trains: images, state and models in memory, programs behind a port in this thread. What comes of
 * it is what `train` leaves in a folder, byte for byte; stopped amid an epoch and gone on, too.
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as ort from "onnxruntime-node";
import { beforeAll, describe, expect, test } from "vitest";
import type { TrainInput } from "../../../src/config/schema.ts";
import type { Dataset } from "../../../src/data/dataset.ts";
import { openDataset } from "../../../src/data/dataset.ts";
import { openDatasets } from "../../../src/data/open.ts";
import type * as web from "../../../src/web.ts";
import { loadAddon, nativeSessions } from "../../../src/runtime/native.ts";
import { temporaryFolder } from "../../data/temporary.ts";
import { bundleForBrowser } from "../../helpers/bundle.ts";
import { tinyRun, train, writePhotos } from "../photos.ts";

type Web = typeof web;
type Files = ReadonlyMap<string, Uint8Array>;

const RECIPE: TrainInput = {
  epochs: 2,
  batchSize: 8,
  modelEma: true,
  mixup: 0.8,
  reprob: 0.25,
  aa: "rand-m9-mstd0.5-inc1",
  drop: 0.1,
};

let root = "";
let photos = "";
let deit: Web;
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"));
  const { code } = await bundleForBrowser("src/web.ts", { minify: false });
  await writeFile(join(root, "web.mjs"), code);
  deit = (await import(pathToFileURL(join(root, "web.mjs")).href)) as Web;
  return () => rm(root, { recursive: true, force: true });
}, 60_000);

function options(folder: string, changes: TrainInput = {}): ReturnType<typeof tinyRun> {
  return tinyRun({ dataPath: photos, outputDir: join(root, folder), ...RECIPE, ...changes });
}

/** A device in this thread, as a page has one in a worker, with the operations that the runs on disk have. */
async function openDevice(): Promise<Awaited<ReturnType<Web["connect"]>>> {
  let listener: (answer: web.Answer) => void = () => {};
  const handle = deit.createSessionHost(
    { ort, blocks: process.arch === "x64", native: nativeSessions(loadAddon()) },
    (answer) => listener(answer),
  );
  return deit.connect(
    {
      post: (message) => setImmediate(() => handle(message)),
      onAnswer: (heard) => void (listener = heard),
      onEnd: () => {},
      setBusy: () => {},
      terminate: async () => {},
    },
    { device: "cpu", target: "cpu", threads: 1, reason: "cpu", profile: undefined },
  );
}

/** Every image decoded, as a page has them. */
async function inMemory(dataset: Dataset): Promise<web.Dataset> {
  const images = await Promise.all(
    Array.from(dataset.labels, async (label, i) => {
      return { name: dataset.describe(i), label, image: await dataset.read(i) };
    }),
  );
  return deit.imagesInMemory({ name: "photos", classes: dataset.classes, images });
}

/** Trains by the bundle. Returns the run's files. */
async function trainInMemory(
  given: ReturnType<typeof tinyRun>,
  { files, initial, ...hooks }: { files?: Files; initial?: web.WeightSource } & web.TrainHooks = {},
): Promise<{ files: Files; result: web.TrainResult | undefined; error: unknown }> {
  const plan = deit.planTraining(given);
  const opened = await openDatasets({ dataPath: photos, valSplit: given.valSplit, seed: given.seed });
  const images = await inMemory(opened.train);
  const validation = await inMemory(opened.validation ?? opened.train);
  const { model, layout } = deit.buildModel(plan.model, images.classes.length);
  const run = deit.runInMemory({ args: { modelEma: given.modelEma }, ...(files && { files }) });
  const runtime = await openDevice();
  const loaders = deit.createLoaders(plan, { training: images, validation, size: model.config.inputSize });
  const start = { seed: plan.batches.seed, checkpoint: initial };
  const parts: web.FitParts = {
    plan,
    model,
    layout,
    optimizer: plan.optimizer,
    runtime,
    images,
    validationImages: validation.length,
    loaders,
    run,
    initial: async () => deit.initialWeights(start, { model, layout }),
  };
  let result: web.TrainResult | undefined;
  let error: unknown;
  try {
    result = await deit.fit(parts, hooks);
  } catch (caught) {
    error = caught;
  } finally {
    await runtime.close();
  }
  return { files: run.files, result, error };
}

/** The files that a run is judged by: weights as bytes, the log without its times. */
function contentOf(files: Files): Record<string, unknown> {
  const models = ["last.safetensors", "best.safetensors", "ema.safetensors"];
  const text = new TextDecoder().decode(files.get("log.jsonl"));
  return {
    log: deit.parseLog(text).map((record) => ({ ...record, seconds: 0, waiting_seconds: 0 })),
    ...Object.fromEntries(
      models.map((name) => [name, Buffer.from(files.get(name) ?? []).toString("base64")]),
    ),
  };
}

async function contentOnDisk(folder: string): Promise<Record<string, unknown>> {
  const names = ["log.jsonl", "last.safetensors", "best.safetensors", "ema.safetensors"];
  const files = await Promise.all(
    names.map(async (name) => [name, new Uint8Array(await readFile(join(root, folder, name)))] as const),
  );
  return contentOf(new Map(files));
}

describe("a run in memory, by the bundle for browsers", () => {
  let onDisk: Record<string, unknown>;
  beforeAll(async () => {
    await train(options("disk"));
    onDisk = await contentOnDisk("disk");
  }, 60_000);

  test("is the run on disk, byte for byte", async () => {
    const events: string[] = [];
    const { files, result } = await trainInMemory(options("none"), {
      onEvent: ({ type }) => void events.push(type),
    });
    expect(contentOf(files)).toEqual(onDisk);
    expect([...files.keys()].toSorted()).toEqual(Object.values(deit.STORE_FILES).toSorted());
    expect(result).toMatchObject({ run: "memory", epochs: 2, last: { epoch: 1 } });
    expect(new Set(events)).toEqual(new Set(["start", "step", "evaluate", "saved", "epoch"]));
  }, 60_000);

  test("stopped amid an epoch and gone on from its files, is the same run", async () => {
    const controller = new AbortController();
    const stopped = await trainInMemory(options("none"), {
      signal: controller.signal,
      onEvent: (event) => void (event.type === "step" && event.epoch === 1 && controller.abort()),
    });
    expect(stopped.error).toMatchObject({ code: "run/interrupted", name: "InterruptedError" });
    const kept = new Map([...stopped.files].filter(([name]) => name !== "last.safetensors")); // a page lost one
    const { files } = await trainInMemory(options("none"), { files: kept });
    expect(contentOf(files)).toEqual(onDisk);
  }, 60_000);

  test("starts from weights in memory as from a file", async () => {
    const path = join(root, "disk", "best.safetensors");
    await train(options("tuned", { finetune: path, epochs: 1 }));
    const initial = deit.weightsInMemory(new Uint8Array(await readFile(path)));
    const { files } = await trainInMemory(options("none", { finetune: path, epochs: 1 }), { initial });
    expect(contentOf(files)).toEqual(await contentOnDisk("tuned"));
  }, 60_000);
});

test("images in memory know their classes, and cannot be opened elsewhere", async () => {
  const images = [{ name: "a", label: 2, image: { width: 1, height: 1, data: new Uint8Array(3) } }];
  expect(() => deit.imagesInMemory({ name: "mine", classes: ["x", "y"], images })).toThrow(
    expect.objectContaining({ code: "data/bad-label" }),
  );
  await expect(openDataset({ kind: "memory", name: "mine" })).rejects.toMatchObject({
    code: "data/in-memory",
  });
});
