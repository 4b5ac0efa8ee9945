/** Threads that decode and resize the images of requests, beside the thread that answers and the model's. */
import { Worker } from "node:worker_threads";
import type { EvaluationTransformOptions } from "../augmentation/transform.ts";
import { lendPixels } from "../data/decoding/pixel-budget.ts";
import { workerFlags } from "../data/loading/worker-flags.ts";
import type { ErrorCode } from "../error-codes.ts";
import { DataError, DeitError } from "../errors.ts";

export interface PreparationJob {
  readonly id: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly transform: EvaluationTransformOptions;
}

export type PreparationResult =
  | { readonly id: number; readonly pixels: Uint8Array<ArrayBuffer> }
  | {
      readonly id: number;
      readonly failure: {
        readonly message: string;
        readonly code?: ErrorCode;
        readonly hint?: string | undefined;
      };
    };

export interface PreparationPool {
  /**
   * An image file's bytes as a model takes them: [3, H, W], 0 to 255.
   * @throws DataError for what is not an image, or too large; what `signal` says when nobody waits any more
   */
  prepare(
    bytes: Uint8Array,
    transform: EvaluationTransformOptions,
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>>;
  /** Images that wait for a thread. */
  readonly waiting: number;
  close(): Promise<void>;
}

interface Pending {
  readonly job: PreparationJob;
  readonly resolve: (pixels: Uint8Array<ArrayBuffer>) => void;
  readonly reject: (error: unknown) => void;
}

interface Member {
  readonly worker: Worker;
  readonly current: Map<number, Pending>;
}

/** Images of a thread at a time: one is resized while another is decoded. */
const IN_FLIGHT = 2;
const RESTART_MS = 1000;

// Beside this file: .ts in the sources, .js when built
const WORKER_FILE = new URL(
  import.meta.url.endsWith(".ts") ? "./preparation-worker.ts" : "./preparation-worker.js",
  import.meta.url,
);

export function preparationPool(threads: number): PreparationPool {
  const waiting: Pending[] = [];
  const members = new Set<Member>();
  let nextId = 0;
  let isClosed = false;

  function start(): void {
    const { giveBack, ...share } = lendPixels();
    const worker = new Worker(WORKER_FILE, { workerData: share, execArgv: workerFlags() });
    worker.unref();
    const member: Member = { worker, current: new Map() };
    members.add(member);
    worker.on("message", (result: PreparationResult) => {
      const done = member.current.get(result.id);
      member.current.delete(result.id);
      isUseful = true;
      if ("pixels" in result) done?.resolve(result.pixels);
      else done?.reject(errorOf(result.failure));
      give(member);
    });
    let [reason, isUseful] = ["it ended", false];
    worker.on("error", (error) => (reason = error instanceof Error ? error.message : String(error)));
    worker.on("exit", () => {
      giveBack();
      members.delete(member);
      const error = new DeitError(`a thread that prepares images ended: ${reason}`, {
        code: "data/loader-failed",
      });
      for (const { reject } of member.current.values()) reject(error);
      if (isClosed) return;
      // The next image finds a new one; one that cannot even start is not tried without end.
      if (isUseful) start();
      else setTimeout(() => isClosed || start(), RESTART_MS).unref();
    });
    give(member);
  }

  function give(member: Member): void {
    while (member.current.size < IN_FLIGHT) {
      const next = waiting.shift();
      if (next === undefined) break;
      member.current.set(next.job.id, next);
      member.worker.postMessage(next.job, [next.job.bytes.buffer]);
    }
    if (member.current.size > 0) member.worker.ref();
    else member.worker.unref();
  }

  for (let i = 0; i < threads; i++) start();

  return {
    get waiting() {
      return waiting.length;
    },
    async prepare(bytes, transform, signal) {
      return new Promise((resolve, reject) => {
        const own = new Uint8Array(bytes); // the bytes of requests may share a buffer
        const pending: Pending = { job: { id: nextId++, bytes: own, transform }, resolve, reject };
        const leave = (): void => {
          const at = waiting.indexOf(pending);
          if (at >= 0) waiting.splice(at, 1);
          reject(signal.reason);
        };
        if (signal.aborted) return leave();
        signal.addEventListener("abort", leave, { once: true });
        waiting.push(pending);
        const idlest = [...members].toSorted((a, b) => a.current.size - b.current.size)[0];
        if (idlest) give(idlest);
      });
    },
    async close() {
      isClosed = true;
      await Promise.all([...members].map(async ({ worker }) => worker.terminate()));
    },
  };
}

function errorOf({
  message,
  code,
  hint,
}: {
  readonly message: string;
  readonly code?: ErrorCode;
  readonly hint?: string | undefined;
}): Error {
  if (code === undefined) return new Error(message);
  const first =
    hint !== undefined && message.endsWith(`\n${hint}`) ? message.slice(0, -hint.length - 1) : message;
  return new DataError("the image", first, { code, hint });
}
