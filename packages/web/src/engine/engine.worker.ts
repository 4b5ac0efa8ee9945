/** The worker that does the page's work: it decodes images, asks the model, teaches heads. Programs run in a worker of their own. */
import {
  imageNetClasses,
  modelInMemory,
  readPlanar,
  requireTransformer,
  tokenNames,
  topPredictions,
  gridOf,
} from "deit-ts/web";
import type { LoadedModel, Runtime, TokenAttention, TokenName, TrainEvent } from "deit-ts/web";
import { openStorage } from "../state/storage.ts";
import type { Asker } from "./asker.ts";
import { createAsker } from "./asker.ts";
import { decode, VIEW } from "./decode.ts";
import type { DeviceChoice } from "./device.ts";
import { openDevice } from "./device.ts";
import type { Head, Taught } from "./head.ts";
import { teachHead } from "./head.ts";
import type { ImproveOptions, LabelledBlob } from "./improve.ts";
import { improve } from "./improve.ts";
import type { Inside, LossRequest, LossResult } from "./inspect.ts";
import { lossesOf, prefixOf } from "./inspect.ts";
import { expose, Transfer } from "./rpc.ts";
import { takeAwayFiles, withHead } from "./take-away.ts";
import type { CheckImage, TakeAway, TakeAwayOptions } from "./take-away.ts";

export interface ModelFacts {
  readonly name: string;
  readonly inputSize: readonly [number, number];
  /** [rows, columns] of patches. */
  readonly grid: readonly [number, number];
  readonly layers: number;
  readonly heads: number;
  readonly tokens: readonly TokenName[];
  readonly parameters: number;
  readonly width: number;
  /** Names of its own classes; undefined when the file does not say. */
  readonly classes: readonly string[] | undefined;
  readonly numClasses: number;
  readonly notes: readonly string[];
}

export interface WaitingImage {
  readonly id: string;
  readonly name: string;
  readonly blob: Blob;
}

/** What is found out about a held-out image. */
export interface Judged {
  readonly id: string;
  readonly label: number;
  readonly predicted: number;
  readonly probability: number;
  /** It is far from all images that were learnt from. */
  readonly none: boolean;
}

export interface TeachResult {
  readonly judged: readonly Judged[];
  /** Images that were learnt from. */
  readonly learnt: number;
  readonly milliseconds: number;
  readonly threshold: number;
  readonly l2: number;
}

export interface Answer {
  readonly label: string;
  readonly index: number;
  readonly score: number;
}

export interface LookResult {
  /** RGBA of the part of the image that the model saw. */
  readonly seen: Uint8ClampedArray;
  readonly size: readonly [number, number];
  /** By the taught heads; undefined before there are any. */
  readonly taught:
    | {
        readonly heads: Readonly<Record<string, readonly number[]>>;
        readonly distance: number;
        readonly threshold: number;
        readonly nearest: string | undefined;
      }
    | undefined;
  /** Logits [K] of the model's own heads. */
  readonly logits: Readonly<Record<string, Float32Array>>;
  /** By the model's own heads: the most probable classes. */
  readonly own: Readonly<Record<string, readonly Answer[]>>;
  readonly attention: readonly TokenAttention[];
  readonly milliseconds: number;
}

export type EngineEvent =
  | {
      readonly type: "seen";
      readonly id: string;
      readonly features: Float32Array;
      readonly thumb: Blob | undefined;
    }
  | { readonly type: "improving"; readonly event: TrainEvent }
  | { readonly type: "unreadable"; readonly id: string; readonly message: string };

interface Opened {
  readonly loaded: LoadedModel;
  readonly runtime: Runtime;
  readonly asker: Asker;
}

/** Images that are decoded ahead of the model. */
const AHEAD = 8;

let opened: Promise<Opened> | undefined;
let waiting: WaitingImage[] = [];
let isSeeing = false;
/** Counts the models that were opened: what was begun for one before is dropped. */
let generation = 0;
const features = new Map<string, Float32Array>();
let head: Head | undefined;
let stopping: AbortController | undefined;

const api = {
  /** Opens a model from the bytes of a safetensors file; what was known of images is forgotten. */
  async open(bytes: ArrayBuffer, name: string, device: DeviceChoice): Promise<ModelFacts> {
    generation++;
    [waiting, head] = [[], undefined];
    const before = await opened?.catch(() => undefined);
    await before?.runtime.close();
    features.clear();
    opened = (async () => {
      const loaded = await modelInMemory(new Uint8Array(bytes), { name });
      requireTransformer(loaded.model);
      const runtime = await openDevice(device);
      return { loaded, runtime, asker: createAsker(loaded, runtime) };
    })();
    const { loaded, asker } = await opened;
    const config = requireTransformer(loaded.model);
    return {
      name: loaded.model.name,
      inputSize: config.inputSize,
      grid: gridOf(config),
      layers: config.depth,
      heads: config.numHeads,
      tokens: tokenNames(config),
      parameters: [...loaded.tensors.values()].reduce((sum, { data }) => sum + data.length, 0),
      width: asker.width,
      classes: classesOf(loaded),
      numClasses: config.numClasses,
      notes: loaded.notes,
    };
  },

  /** Images to compute features of; each is answered by an event. */
  see(images: readonly WaitingImage[]): void {
    waiting.push(...images);
    if (!isSeeing) void seeAll();
  },

  /** Features that were computed before. */
  restore(known: readonly (readonly [string, Float32Array])[]): void {
    for (const [id, row] of known) features.set(id, row);
  },

  forget(ids: readonly string[]): void {
    for (const id of ids) features.delete(id);
    const gone = new Set(ids);
    waiting = waiting.filter(({ id }) => !gone.has(id));
  },

  async teach(images: readonly Taught[], numClasses: number): Promise<TeachResult> {
    const start = performance.now();
    const { loaded } = await model();
    const tokens = tokenNames(requireTransformer(loaded.model));
    const taught = teachHead({ tokens, numClasses, features, images }, head);
    head = taught;
    const judged = images.flatMap(({ id, label, held }): Judged[] => {
      const row = features.get(id);
      if (!held || row === undefined) return [];
      const { heads, distance } = taught.answer(row);
      const joint = heads["joint"] ?? new Float64Array();
      const predicted = joint.indexOf(Math.max(...joint));
      return [
        { id, label, predicted, probability: joint[predicted] ?? 0, none: distance > taught.threshold },
      ];
    });
    const learnt = images.filter(({ id, held }) => !held && features.has(id)).length;
    return {
      judged,
      learnt,
      milliseconds: performance.now() - start,
      threshold: taught.threshold,
      l2: taught.l2,
    };
  },

  /** There is no head any more: too few classes have images. */
  unteach(): void {
    head = undefined;
  },

  async look(source: Blob | ImageBitmap, name: string): Promise<Transfer<LookResult>> {
    const { loaded, asker } = await model();
    const { cropRatio, inputSize } = loaded.preprocessing;
    const { image, view } = await decode(source, name, { view: Math.min(1, cropRatio) });
    const planes = asker.prepare(image);
    const start = performance.now();
    const { features: row, logits, attention } = await asker.look(planes);
    const answer = head?.answer(row);
    const classes = classesOf(loaded) ?? [];
    const own = Object.entries(logits).map(([token, values]) => [
      token,
      topPredictions(values, { topk: 5, classes }).map(({ index, label, score }) => ({
        index,
        label,
        score,
      })),
    ]);
    const isSquare = inputSize[0] === inputSize[1] && view !== undefined;
    const seen = isSquare ? view : rgba(planes, { height: inputSize[0], width: inputSize[1] });
    const result: LookResult = {
      seen,
      size: isSquare ? [VIEW, VIEW] : inputSize,
      taught: answer && {
        heads: Object.fromEntries(Object.entries(answer.heads).map(([key, p]) => [key, [...p]])),
        distance: answer.distance,
        threshold: head?.threshold ?? 1,
        nearest: answer.nearest,
      },
      logits,
      own: Object.fromEntries(own) as LookResult["own"],
      attention,
      milliseconds: performance.now() - start,
    };
    return new Transfer(result, [seen.buffer]);
  },

  /** `images`: some to check the files with. */
  async takeAway(images: readonly WaitingImage[], options: TakeAwayOptions): Promise<TakeAway> {
    const { loaded, asker, runtime } = await model();
    if (head === undefined) throw new Error("there is no classifier yet: teach two classes first");
    const checks: CheckImage[] = [];
    for (const { name, blob } of images) {
      const planes = asker.prepare((await decode(blob, name)).image);
      const [row] = await asker.features([planes]);
      if (row !== undefined) checks.push({ planes, logits: head.answer(row).logits });
    }
    return takeAwayFiles({ loaded, head, runtime, images: checks }, options);
  },

  /** The tokens of each layer for one image. */
  async inspect(image: Blob | ImageBitmap, name: string): Promise<Transfer<Inside>> {
    const { loaded, asker } = await model();
    const states = await asker.states(asker.prepare((await decode(image, name)).image));
    const { embedDim: width } = requireTransformer(loaded.model);
    return new Transfer(
      { states, prefix: prefixOf(loaded.model), width },
      states.map(({ buffer }) => buffer as ArrayBuffer),
    );
  },

  losses(request: LossRequest): LossResult {
    return lossesOf(request);
  },

  /** Fine-tunes the model, or goes on with the run that was begun. @returns the trained file; undefined when it was stopped */
  async improve(
    training: readonly LabelledBlob[],
    held: readonly LabelledBlob[],
    options: ImproveOptions,
    device: DeviceChoice,
  ): Promise<Transfer<ArrayBuffer | undefined>> {
    const { loaded } = await model();
    if (head === undefined) throw new Error("there is no classifier yet: teach two classes first");
    stopping = new AbortController();
    const bytes = await improve({
      loaded: withHead(loaded, head, options.classes),
      training,
      held,
      options,
      device,
      storage: await openStorage(),
      signal: stopping.signal,
      onEvent: (event) => emit({ type: "improving", event }),
    });
    return new Transfer(bytes?.buffer, bytes === undefined ? [] : [bytes.buffer]);
  },

  /** The run saves after the step that it is at, and ends. */
  pause(): void {
    stopping?.abort();
  },
};

export type EngineApi = typeof api;

const emit = expose(api) as (event: EngineEvent) => void;

/** Names of a model's own classes: a thousand without names are ImageNet's. */
function classesOf({ model: { config }, metadata }: LoadedModel): readonly string[] | undefined {
  const named = imageNetClasses();
  return metadata.classes ?? (config.numClasses === named.length ? named.map(({ name }) => name) : undefined);
}

async function model(): Promise<Opened> {
  if (opened === undefined) throw new Error("no model is open");
  return opened;
}

/** Computes features of what waits; the next images are decoded while the model looks at these. */
async function seeAll(): Promise<void> {
  isSeeing = true;
  try {
    let ready = prepareNext();
    while (waiting.length > 0 || (await ready).length > 0) {
      const now = (await ready).filter((each) => each.generation === generation);
      ready = prepareNext();
      if (now.length === 0) continue;
      const { asker } = await model();
      const rows = await asker.features(now.map(({ planes }) => planes)).catch((error: unknown) => {
        if (now[0]?.generation === generation) throw error;
        return [];
      });
      for (const [i, { id, thumb, ...of }] of now.entries()) {
        const row = rows[i];
        if (row === undefined || of.generation !== generation) continue;
        features.set(id, row);
        emit({ type: "seen", id, features: row, thumb });
      }
    }
  } catch (error) {
    for (const { id } of waiting.splice(0)) emit({ type: "unreadable", id, message: String(error) });
  } finally {
    isSeeing = false;
  }
}

interface Prepared {
  readonly id: string;
  readonly planes: Uint8Array;
  readonly thumb: Blob | undefined;
  readonly generation: number;
}

async function prepareNext(): Promise<Prepared[]> {
  const { asker } = await model();
  const of = generation;
  const next = waiting.splice(0, AHEAD);
  const prepared: Prepared[] = [];
  for (const { id, name, blob } of next) {
    try {
      const { image, thumb } = await decode(blob, name, { thumb: true });
      prepared.push({ id, planes: asker.prepare(image), thumb, generation: of });
    } catch (error) {
      if (of === generation)
        emit({ type: "unreadable", id, message: error instanceof Error ? error.message : String(error) });
    }
  }
  return prepared;
}

function rgba(planes: Uint8Array, size: { width: number; height: number }): Uint8ClampedArray<ArrayBuffer> {
  const { data } = readPlanar(planes, size);
  const pixels = new Uint8ClampedArray((data.length / 3) * 4).fill(255);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4)
    pixels.set(data.subarray(from, from + 3), to);
  return pixels;
}
