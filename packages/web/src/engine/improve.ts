/**
 * Fine-tuning in the page by the project's own `fit`: the same options, loop and losses as `deit finetune`. It starts from the
 * head that was taught, saves into the browser's file system after every epoch, and goes on from there after a stop, a
 * reload or a crash.
 */
import {
  buildModel,
  checkpointBytes,
  createLoaders,
  DeitError,
  finetuneDefaults,
  fit,
  imagesInMemory,
  initialWeights,
  InterruptedError,
  ownContent,
  parseTrainOptions,
  planTraining,
  runInMemory,
  STORE_FILES,
  weightsInMemory,
} from "deit-ts/web";
import type { Dataset, Json, LoadedModel, MemoryRun, RunStore, TrainEvent, TrainingPlan } from "deit-ts/web";
import type { Storage } from "../state/storage.ts";
import { decode } from "./decode.ts";
import type { DeviceChoice } from "./device.ts";
import { openDevice } from "./device.ts";

export interface ImproveOptions {
  /** What is trained: "last-2", "lora" or "all". */
  readonly trainable: string;
  readonly epochs: number;
  /** Side of the images, in pixels. */
  readonly size: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly classes: readonly string[];
}

export interface LabelledBlob {
  readonly name: string;
  readonly label: number;
  readonly blob: Blob;
}

export interface ImproveParts {
  /** With the taught head. */
  readonly loaded: LoadedModel;
  readonly training: readonly LabelledBlob[];
  readonly held: readonly LabelledBlob[];
  readonly options: ImproveOptions;
  readonly device: DeviceChoice;
  readonly storage: Storage;
  readonly signal: AbortSignal;
  onEvent(event: TrainEvent): void;
}

/** Where a run is kept. */
export const RUN = "run";
const START = `${RUN}/start.safetensors`;

/** The plan of a run: what `deit finetune` chooses for so few images, but for what the page asks. */
export function planOf(loaded: LoadedModel, options: ImproveOptions, images: number): TrainingPlan {
  const { mean, std, cropRatio } = loaded.preprocessing;
  return planTraining(
    parseTrainOptions({
      ...finetuneDefaults({
        images,
        medianSize: 2 * options.size,
        imbalance: 1,
        model: loaded.model.name,
        inputSize: [options.size, options.size],
        distilled: loaded.model.config.distilled,
        mean: [...mean],
        std: [...std],
        macs: loaded.model.macs,
        cores: 1,
      }),
      finetune: "page",
      dataPath: "page",
      trainable: options.trainable,
      epochs: options.epochs,
      batchSize: options.batchSize,
      seed: options.seed,
      selectEpoch: "last", // the held-out images judge; they choose nothing
      saveMinutes: 0.5,
      evalCropRatio: cropRatio,
    }),
  );
}

/** @returns the trained model's file; undefined when it was stopped, and can go on */
export async function improve(parts: ImproveParts): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const { loaded, options, storage, signal, device, onEvent } = parts;
  const plan = planOf(loaded, options, parts.training.length);
  const { model, layout } = buildModel(plan.model, options.classes.length);
  const [images, validation] = [datasetOf(parts.training, options), datasetOf(parts.held, options)];
  const files = await savedFiles(storage);
  const start = files.get("start") ?? new Uint8Array(checkpointBytes(ownContent(loaded)));
  if (!files.has("start")) await storage.write(START, start);
  files.delete("start");
  const memory = runInMemory({ name: "page", args: { ...plan.run.args } as Record<string, Json>, files });
  const runtime = await openDevice(device);
  try {
    await fit(
      {
        plan,
        model,
        layout,
        optimizer: plan.optimizer,
        runtime,
        images,
        validationImages: validation.length,
        loaders: createLoaders(plan, { training: images, validation, size: model.config.inputSize }),
        run: kept(memory, storage),
        initial: async () =>
          initialWeights(
            { seed: options.seed, checkpoint: weightsInMemory(start, { name: "the starting model" }) },
            { model, layout },
          ),
      },
      { onEvent, signal },
    );
  } catch (error) {
    if (error instanceof InterruptedError) return undefined;
    throw error;
  } finally {
    await runtime.close();
  }
  const result = memory.files.get(STORE_FILES.best) ?? memory.files.get(STORE_FILES.last);
  if (result === undefined) throw new DeitError("the run left no model", { code: "run/no-state" });
  return new Uint8Array(result);
}

function datasetOf(images: readonly LabelledBlob[], { classes }: ImproveOptions): Dataset {
  return imagesInMemory({
    name: "the project",
    classes,
    images: images.map(({ name, label, blob }) => ({
      name,
      label,
      image: async () => (await decode(blob, name)).image,
    })),
  });
}

/** The files of a run that was begun. */
async function savedFiles(storage: Storage): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const name of [...Object.values(STORE_FILES), "start.safetensors"]) {
    const file = await storage.read(`${RUN}/${name}`);
    if (file !== undefined)
      files.set(name === "start.safetensors" ? "start" : name, new Uint8Array(await file.arrayBuffer()));
  }
  return files;
}

/** A run in memory that writes what changed into the browser's file system. */
function kept(memory: MemoryRun, storage: Storage): RunStore {
  const written = new Map<string, Uint8Array>();
  const write = async (): Promise<void> => {
    for (const [name, bytes] of memory.files) {
      if (written.get(name) === bytes) continue;
      await storage.write(`${RUN}/${name}`, bytes as Uint8Array<ArrayBuffer>);
      written.set(name, bytes);
    }
  };
  return {
    path: memory.path,
    resumed: memory.resumed,
    log: memory.log,
    staleModels: memory.staleModels,
    loadState: async () => memory.loadState(),
    appendEpoch: async (record) => memory.appendEpoch(record),
    async saveState(state) {
      await memory.saveState(state);
      await write();
    },
    async saveModel(kind, tensors, metadata) {
      await memory.saveModel(kind, tensors, metadata);
      await write();
    },
  };
}
