/**
 * Worker threads that make batches, a batch a worker at a time. Buffers are moved, not copied; pixels that the
 * dataset holds in memory are shared. Idle workers do not keep the process alive.
 */
import { Worker } from "node:worker_threads";
import type { TransformOptions } from "../../augmentation/transform.ts";
import type { ErrorCode } from "../../error-codes.ts";
import { DataError } from "../../errors.ts";
import type { BatchJob, MadeBatch } from "./batch.ts";
import type { Dataset, DatasetSource } from "../dataset.ts";
import type { BatchMaker, BatchPool } from "./loader.ts";
import { lendPixels } from "../decoding/pixel-budget.ts";
import type { PixelShare } from "../decoding/pixel-budget.ts";
import { workerFlags } from "./worker-flags.ts";

export interface WorkerSetup {
  readonly source: DatasetSource;
  readonly length: number;
  readonly memory: SharedArrayBuffer | undefined;
  readonly transform: TransformOptions;
  readonly pixels: PixelShare;
}

export interface JobMessage {
  readonly id: number;
  readonly job: BatchJob;
}

/** What a DataError has besides its message. */
interface DataFailure {
  readonly path: string;
  readonly code: ErrorCode;
}

/** An error crosses threads as its parts. */
export type ResultMessage =
  | { readonly id: number; readonly made: MadeBatch }
  | {
      readonly id: number;
      readonly failure: { readonly data: DataFailure | undefined; readonly message: string };
    };

interface Pending {
  readonly message: JobMessage;
  readonly resolve: (made: MadeBatch) => void;
  readonly reject: (error: Error) => void;
}

interface Member {
  readonly worker: Worker;
  current: Pending | undefined;
}

// Beside this file: loader-worker.ts in the sources, loader-worker.js when built
const WORKER_FILE = new URL(
  import.meta.url.endsWith(".ts") ? "./loader-worker.ts" : "./loader-worker.js",
  import.meta.url,
);

/** So many threads for a loader; undefined for none, so that batches are made in this thread. */
export function workerPool(workers: number): BatchPool | undefined {
  if (workers === 0) return undefined;
  return { workers, open: (dataset, transform) => openPool(dataset, transform, workers) };
}

function openPool(dataset: Dataset, transform: TransformOptions, count: number): BatchMaker {
  const setup: Omit<WorkerSetup, "pixels"> = {
    source: dataset.source,
    length: dataset.length,
    memory: dataset.memory,
    transform,
  };
  const waiting: Pending[] = [];
  let nextId = 0;
  let failed: Error | undefined;

  const members = Array.from({ length: count }, () => startMember());

  function startMember(): Member {
    const { giveBack, ...pixels } = lendPixels();
    const workerData: WorkerSetup = { ...setup, pixels };
    const worker = new Worker(WORKER_FILE, { workerData, execArgv: workerFlags() });
    worker.unref();
    const member: Member = { worker, current: undefined };
    worker.on("message", (message: ResultMessage) => {
      const done = member.current;
      member.current = undefined;
      if (done?.message.id !== message.id) return;
      if ("made" in message) done.resolve(message.made);
      else done.reject(toError(message.failure));
      give(member);
    });
    worker.on("error", (cause) =>
      fail(
        new DataError(dataset.name, `a loader worker failed: ${String(cause)}`, {
          code: "data/loader-failed",
          cause,
        }),
      ),
    );
    worker.on("exit", (code) => {
      giveBack();
      fail(
        new DataError(dataset.name, `a loader worker ended (exit code ${code})`, {
          code: "data/loader-failed",
        }),
      );
    });
    return member;
  }

  /** One lost worker ends them all: a batch would be missing. */
  function fail(error: Error): void {
    if (failed) return;
    failed = error;
    for (const member of members) {
      member.current?.reject(error);
      member.current = undefined;
      void member.worker.terminate();
    }
    for (const pending of waiting.splice(0)) pending.reject(error);
  }

  function give(member: Member): void {
    const next = waiting.shift();
    member.current = next;
    if (next === undefined) {
      member.worker.unref();
      return;
    }
    member.worker.ref();
    member.worker.postMessage(next.message);
  }

  return {
    make: async (job) => {
      if (failed) throw failed;
      return new Promise((resolve, reject) => {
        waiting.push({ message: { id: nextId++, job }, resolve, reject });
        const idle = members.find(({ current }) => current === undefined);
        if (idle) give(idle);
      });
    },
    close: async () => {
      const ended = members.map(async ({ worker }) => worker.terminate());
      fail(new DataError(dataset.name, "the loader was closed", { code: "data/loader-closed" }));
      await Promise.all(ended);
    },
  };
}

function toError({ data, message }: { data: DataFailure | undefined; message: string }): Error {
  return data === undefined ? new Error(message) : new DataError(data.path, message, { code: data.code });
}
