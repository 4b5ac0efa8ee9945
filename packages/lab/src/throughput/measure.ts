/**
 * Throughput by the paper's protocol (Table 5): the largest batch that fits, 30 timed runs, their mean, and here their
 * median, too. The runs of a model are split over rounds, and a round goes through all models, each in a fresh process:
 * a machine that drifts slows all alike, and memory is that of one model. Every finished piece is kept, so that the same
 * call goes on where it was stopped.
 */
import { VERSION, evaluate as evaluateCheckpoint } from "deit-ts";
import type { DeviceName } from "deit-ts";
import type { EvaluationDataOptions, PartialPreprocessing } from "deit-ts/data";
import { locateCheckpoint } from "deit-ts/studies";
import { stat } from "node:fs/promises";
import { median } from "../bench/timing.ts";
import type { ForwardJob, ForwardTimes } from "../bench/forward.ts";
import { ranOutOfMemory, runForward } from "./forward.ts";
import type { Journal } from "./journal.ts";
import { openJournal } from "./journal.ts";
import { paretoFront } from "./pareto.ts";
import type { RowsOptions, ThroughputRow } from "./rows.ts";
import { throughputRows } from "./rows.ts";

export interface ThroughputOptions extends RowsOptions {
  /** Images to measure the accuracy of checkpoints on; without any there is none. */
  readonly evaluateOn?:
    | (EvaluationDataOptions & { readonly preprocessing?: PartialPreprocessing | undefined })
    | undefined;
  /** Default: the largest power of two up to `maxBatch` whose memory stays below `memoryMiB`. */
  readonly batchSize?: number | undefined;
  readonly maxBatch?: number;
  /** Default: four fifths of what the machine has free. */
  readonly memoryMiB?: number | undefined;
  /** Timed runs of each row, over all rounds. */
  readonly runs?: number;
  readonly rounds?: number;
  readonly device?: DeviceName | "auto";
  readonly threads?: number | null;
  /** File that keeps what is measured. */
  readonly journal?: string | undefined;
}

export type ThroughputEvent =
  | { readonly type: "warning"; readonly message: string }
  /** Pieces of the whole work; `what` is being measured. */
  | { readonly type: "progress"; readonly done: number; readonly total: number; readonly what: string };

export interface ThroughputHooks {
  readonly onEvent?: ((event: ThroughputEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A row of the table. */
export interface ThroughputResult extends ThroughputRow {
  readonly batchSize: number;
  /** By the median time of a batch. */
  readonly imagesPerSecond: number;
  /** By the mean time, as in the paper. */
  readonly meanImagesPerSecond: number;
  /** By the times that a quarter of the runs are above and below. */
  readonly quartiles: readonly [low: number, high: number];
  readonly runs: number;
  /** Largest resident set while single images are answered, and while batches are; the runtime is part of both. */
  readonly memoryMiB: number;
  readonly batchMemoryMiB: number;
  /** Percent; null without images or without weights. */
  readonly acc1: number | null;
  readonly acc5: number | null;
  readonly images: number | null;
  /** No other row is both faster and more accurate; null without an accuracy. */
  readonly pareto: boolean | null;
  /** No other row is both more accurate and satisfied with less memory for its batch. */
  readonly paretoMemory: boolean | null;
}

export interface ThroughputTable {
  readonly rows: readonly ThroughputResult[];
  readonly device: string;
  readonly threads: number;
  /** Largest resident set of the same process before it has loaded a model: the part of every row's that is not a model. */
  readonly runtimeMiB: number;
}

/** Pieces of a table that were there when it was asked for are not measured again. */
export async function measureThroughput(
  options: ThroughputOptions,
  { onEvent, signal }: ThroughputHooks = {},
): Promise<ThroughputTable> {
  const { runs = 30, rounds = 5, evaluateOn } = options;
  const { rows, notes } = await throughputRows(options);
  for (const message of notes) onEvent?.({ type: "warning", message });
  const journal = await openJournal(options.journal);
  const warn = (row: ThroughputRow, message: string): void =>
    onEvent?.({ type: "warning", message: rows.length > 1 ? `${label(row)}: ${message}` : message });
  const work: Measuring = { options, journal, signal, warn };
  const count = Math.min(rounds, runs);
  const total = rows.length * (1 + count) + (evaluateOn ? rows.filter(({ weights }) => weights).length : 0);
  let done = 0;
  const piece = async <T>(what: string, measure: () => Promise<T>): Promise<T> => {
    onEvent?.({ type: "progress", done, total, what });
    signal?.throwIfAborted();
    const result = await measure();
    done++;
    return result;
  };

  // Accuracies first: images that do not fit a model should stop the table at once.
  const accuracies = new Map<ThroughputRow, Accuracy>();
  for (const row of evaluateOn ? rows.filter(({ weights }) => weights !== null) : [])
    accuracies.set(row, await piece(`accuracy of ${label(row)}`, () => accuracy(work, row)));
  const fitted: { row: ThroughputRow; batch: Fitted; facts: object; times: ForwardTimes[] }[] = [];
  for (const row of rows) {
    const batch = await piece(`batch of ${label(row)}`, () => fitBatch(work, row));
    fitted.push({ row, batch, facts: await factsOf(work, row), times: [] });
  }
  for (let round = 0; round < count; round++) {
    const share = Math.floor(((round + 1) * runs) / count) - Math.floor((round * runs) / count);
    for (const { row, batch, facts, times } of fitted) {
      const what = { ...facts, kind: "round", round, runs: share, batchSize: batch.batchSize };
      const measure = () => forward(work, row, { batchSize: batch.batchSize, warmUp: 2, runs: share });
      times.push(
        await piece(`${label(row)}, round ${round + 1} of ${count}`, () => journal.remember(what, measure)),
      );
    }
  }
  onEvent?.({ type: "progress", done, total, what: "done" });
  const results = fitted.map(({ row, batch, times }) =>
    resultOf(row, { batch, times, accuracy: accuracies.get(row) }),
  );
  const fast = frontOf(results, ({ imagesPerSecond }) => imagesPerSecond, "more");
  const small = frontOf(results, ({ batchMemoryMiB }) => batchMemoryMiB, "less");
  const [first] = fitted[0]?.times ?? [];
  return {
    rows: results.map((row, i) => ({
      ...row,
      pareto: row.acc1 === null ? null : fast.has(i),
      paretoMemory: row.acc1 === null ? null : small.has(i),
    })),
    device: first?.device ?? "cpu",
    threads: first?.threads ?? 0,
    runtimeMiB: median(fitted.flatMap(({ times }) => times.map(({ runtimeMiB }) => runtimeMiB))),
  };
}

type Measured = Omit<ThroughputResult, "pareto" | "paretoMemory">;

/** Indices of the rows on the front of accuracy and `x`. */
function frontOf(
  rows: readonly Measured[],
  x: (row: Measured) => number,
  better: "more" | "less",
): ReadonlySet<number> {
  const points = rows.flatMap((row, index) => (row.acc1 === null ? [] : [{ x: x(row), y: row.acc1, index }]));
  return new Set(paretoFront(points, { better }).map(({ index }) => index));
}

interface Measuring {
  readonly options: ThroughputOptions;
  readonly journal: Journal;
  readonly signal: AbortSignal | undefined;
  readonly warn: (row: ThroughputRow, message: string) => void;
}

interface Accuracy {
  readonly acc1: number;
  readonly acc5: number;
  readonly images: number;
}

interface Fitted {
  readonly batchSize: number;
  /** Of single images. */
  readonly memoryMiB: number;
}

/** `deit_tiny_patch16_224 at 160` */
function label({ name, inputSize }: ThroughputRow): string {
  return `${name} at ${inputSize[0]}`;
}

/** Counts what was measured in another way, so that a journal's old pieces are not taken for new ones. */
const PROTOCOL = 2;

/** What decides a measurement, for the journal. */
async function factsOf({ options }: Measuring, row: ThroughputRow): Promise<object> {
  const { device = "auto", threads = null } = options;
  const file = row.weights === null ? undefined : await stat(await locateCheckpoint(row.weights));
  return {
    version: VERSION,
    protocol: PROTOCOL,
    model: row.given,
    inputSize: row.inputSize,
    weights: file && { path: row.weights, size: file.size, changed: file.mtimeMs },
    device,
    threads,
  };
}

async function accuracy(work: Measuring, row: ThroughputRow): Promise<Accuracy> {
  const { evaluateOn = {}, model, device, threads = null } = work.options;
  const { preprocessing, ...dataset } = evaluateOn;
  const facts = { ...(await factsOf(work, row)), kind: "accuracy", evaluateOn };
  return work.journal.remember(facts, async () => {
    const { acc1, acc5, images } = await evaluateCheckpoint(
      {
        ...dataset,
        checkpoint: row.given,
        model,
        inputSize: row.inputSize,
        threads,
        ...(device && { device }),
        ...(preprocessing && { preprocessing }),
      },
      {
        signal: work.signal,
        onEvent: (event) => event.type === "warning" && work.warn(row, event.message),
      },
    );
    return { acc1, acc5, images };
  });
}

/** Images that the first estimate of memory is made with, besides one. */
const SOME = 4;

/** The largest batch: estimated from two small ones, then tried. */
async function fitBatch(work: Measuring, row: ThroughputRow): Promise<Fitted> {
  const { batchSize, maxBatch = 64, memoryMiB: given } = work.options;
  const facts = await factsOf(work, row);
  const memoryOf = async (batch: number): Promise<number> => {
    const measure = async (): Promise<number> =>
      (await forward(work, row, { batchSize: batch, warmUp: 1, runs: 1 })).memoryMiB;
    return work.journal.remember({ ...facts, kind: "memory", batch }, measure);
  };
  const wanted = row.fixedBatch ?? batchSize;
  const memoryMiB = await memoryOf(row.fixedBatch ?? 1);
  if (wanted !== undefined) return { batchSize: wanted, memoryMiB };
  return work.journal.remember({ ...facts, kind: "batch", maxBatch, given: given ?? null }, async () => {
    const limit = given ?? (0.8 * process.availableMemory()) / 2 ** 20;
    const some = Math.min(SOME, maxBatch);
    const slope = some > 1 ? Math.max(0, ((await memoryOf(some)) - memoryMiB) / (some - 1)) : 0;
    let batch = 2 ** Math.floor(Math.log2(maxBatch));
    while (batch > 1 && memoryMiB + slope * (batch - 1) > limit) batch /= 2;
    while (batch > some) {
      const taken = await memoryOf(batch).catch(noMemory);
      if (taken <= limit) break;
      batch /= 2;
    }
    return { batchSize: batch, memoryMiB };
  });
}

/** A batch that there was no memory for takes all there is. */
function noMemory(error: unknown): number {
  if (ranOutOfMemory(error)) return Number.POSITIVE_INFINITY;
  throw error;
}

async function forward(
  { options, signal }: Measuring,
  row: ThroughputRow,
  { batchSize, warmUp, runs }: Pick<ForwardJob, "batchSize" | "warmUp" | "runs">,
): Promise<ForwardTimes> {
  const { device = "auto", threads = null, model } = options;
  const { given, registered, inputSize } = row;
  const named = model !== undefined && { model };
  return runForward(
    { given, registered, ...named, inputSize, batchSize, device, threads, warmUp, runs },
    signal,
  );
}

function resultOf(
  row: ThroughputRow,
  {
    batch,
    times,
    accuracy,
  }: { batch: Fitted; times: readonly ForwardTimes[]; accuracy: Accuracy | undefined },
): Measured {
  const seconds = times.flatMap((round) => round.seconds).toSorted((a, b) => a - b);
  const mean = seconds.reduce((sum, time) => sum + time, 0) / seconds.length;
  const rate = (time: number): number => batch.batchSize / time;
  const at = (part: number): number => seconds[Math.round(part * (seconds.length - 1))] ?? Number.NaN;
  return {
    ...row,
    batchSize: batch.batchSize,
    imagesPerSecond: rate(median(seconds)),
    meanImagesPerSecond: rate(mean),
    quartiles: [rate(at(0.75)), rate(at(0.25))],
    runs: seconds.length,
    memoryMiB: batch.memoryMiB,
    batchMemoryMiB: Math.max(...times.map(({ memoryMiB }) => memoryMiB)),
    acc1: accuracy?.acc1 ?? null,
    acc5: accuracy?.acc5 ?? null,
    images: accuracy?.images ?? null,
  };
}
