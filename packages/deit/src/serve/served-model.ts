/** A model that a server has: loaded, asked in batches, and replaced by its newer file while requests go on. */
import { stat } from "node:fs/promises";
import type { EvaluationTransformOptions } from "../augmentation/transform.ts";
import { DeitError } from "../errors.ts";
import { isElsewhere, locateCheckpoint } from "../evaluation/checkpoints/locate-checkpoint.ts";
import type { Classifier } from "../evaluation/classifier.ts";
import { openClassifier } from "../evaluation/classifier.ts";
import { mainLogits } from "../evaluation/metrics/metrics.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Batcher } from "./batcher.ts";
import { batchSizes, createBatcher } from "./batcher.ts";
import type { NamedModel } from "./model-names.ts";
import type { ServerMetrics } from "./server-metrics.ts";

export interface ServedModelOptions {
  readonly runtime: Runtime;
  readonly maxBatch: number;
  readonly weights?: string | null | undefined;
  readonly metrics: ServerMetrics;
  /** Something about a model that is worth a line. */
  readonly onNote: (message: string) => void;
  readonly onWarning: (message: string) => void;
}

/** A state of a model, which requests hold from beginning to end. */
export interface LoadedVersion {
  readonly classifier: Classifier;
  readonly transform: EvaluationTransformOptions;
  readonly batcher: Batcher;
  readonly loaded: Date;
}

export interface ServedModel extends NamedModel {
  /** Runs `work` with the model as it is now; it stays until then. @throws DeitError while it is loaded the first time */
  use<T>(work: (version: LoadedVersion) => Promise<T>): Promise<T>;
  readonly current: LoadedVersion | undefined;
  /** Why the newest file could not be loaded: the one before is used. */
  readonly problem: string | undefined;
  /** Loads the model anew, beside the one that answers, and puts it in its place. Calls at one time are one. */
  reload(): Promise<LoadedVersion>;
  /** Reloads where the file has changed since, and is not being written. */
  look(): Promise<void>;
  close(): Promise<void>;
}

interface Held {
  readonly version: LoadedVersion;
  users: number;
  isRetired: boolean;
}

export function servedModel(model: NamedModel, options: ServedModelOptions): ServedModel {
  const { name, version: number, checkpoint } = model;
  const { metrics, onNote, onWarning, weights } = options;
  const title = `${name}, version ${number}`;
  let held: Held | undefined;
  let loading: Promise<LoadedVersion> | undefined;
  let problem: string | undefined;
  let [stamp, seen] = ["", ""];
  let isElsewhereFor: boolean | undefined;

  const free = async (one: Held): Promise<void> => {
    if (one.isRetired && one.users === 0) await one.version.classifier.close();
  };

  async function load(): Promise<LoadedVersion> {
    const before = await stampOf(checkpoint, weights);
    try {
      const version = await openVersion(model, options);
      const old = held;
      held = { version, users: 0, isRetired: false };
      problem = undefined;
      metrics.reloads.inc({ model: name, version: number, result: "loaded" });
      if (old !== undefined) {
        old.isRetired = true;
        onNote(`reloaded ${title}: ${version.classifier.file}`);
        await free(old);
      }
      return version;
    } catch (error) {
      metrics.reloads.inc({ model: name, version: number, result: "failed" });
      problem = error instanceof DeitError ? error.message : "an internal error";
      if (held !== undefined)
        onWarning(
          `${title} could not be reloaded, the previous version stays in use: ${problem.replaceAll("\n", " ")}`,
        );
      throw error;
    } finally {
      [stamp, seen] = [before, before];
      loading = undefined;
    }
  }

  const reload = async (): Promise<LoadedVersion> => (loading ??= load());

  return {
    ...model,
    get current() {
      return held?.version;
    },
    get problem() {
      return problem;
    },
    reload,
    async use(work) {
      const own = held;
      if (own === undefined)
        throw new DeitError(`${title} is being loaded`, {
          code: "serve/loading",
          hint: "Try again in a few seconds; /readyz reports when it is ready.",
        });
      own.users++;
      try {
        return await work(own.version);
      } finally {
        own.users--;
        await free(own);
      }
    },
    async look() {
      if (loading !== undefined) return;
      isElsewhereFor ??= await isElsewhere(checkpoint);
      if (isElsewhereFor) return; // what was downloaded does not change
      const now = await stampOf(checkpoint, weights);
      const isStill = now === seen;
      seen = now;
      if (now !== "" && now !== stamp && isStill) await reload().catch(() => undefined); // it was said
    },
    async close() {
      await loading?.catch(() => undefined);
      if (held === undefined) return;
      held.isRetired = true;
      await free(held);
    },
  };
}

async function openVersion(
  { name, version: number, checkpoint }: NamedModel,
  { runtime, maxBatch, weights, metrics, onWarning }: ServedModelOptions,
): Promise<LoadedVersion> {
  const classifier = await openClassifier(checkpoint, { runtime, weights });
  for (const note of classifier.notes) onWarning(note);
  const { numClasses, inputSize, transform } = classifier;
  const sizes = classifier.batchSize === undefined ? batchSizes(maxBatch) : [classifier.batchSize];
  const rowBytes = 3 * inputSize[0] * inputSize[1];
  const labels = { model: name, version: number };
  const batcher = createBatcher({
    sizes,
    rowBytes,
    async run(pixels, { size, images }) {
      const logits = await classifier.logits(pixels, { batchSize: size });
      return Array.from({ length: images }, (_, row) => mainLogits(logits, { row, numClasses }).slice());
    },
    onBatch({ images, seconds }) {
      metrics.images.inc(labels, images);
      metrics.batchImages.observe(labels, images);
      metrics.batchSeconds.observe(labels, seconds);
    },
  });
  try {
    for (const size of sizes) await classifier.logits(new Uint8Array(size * rowBytes), { batchSize: size });
  } catch (error) {
    await classifier.close();
    throw error;
  }
  return { classifier, transform, batcher, loaded: new Date() };
}

/** What changes when the file of a checkpoint does: its place, size and time; "" where there is none. */
async function stampOf(checkpoint: string, weights: string | null | undefined): Promise<string> {
  try {
    const file = await locateCheckpoint(checkpoint, { weights: weights ?? undefined });
    const { size, mtimeMs, ino } = await stat(file);
    return [file, size, mtimeMs, ino].join(" ");
  } catch {
    return "";
  }
}
