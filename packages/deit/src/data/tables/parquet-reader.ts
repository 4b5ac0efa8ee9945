/**
 * Asks the thread that reads Parquet files, one for each thread that needs one. An answer that does not come in a time
 * that no whole file takes is a damaged file: the thread is ended, and the next question starts another.
 */
import { Worker } from "node:worker_threads";
import type { ErrorCode } from "../../error-codes.ts";
import { DataError } from "../../errors.ts";
import type { Part } from "../split-names.ts";

/** What is known of a file before its images are read. */
export interface TableFacts {
  readonly file: string;
  readonly labels: readonly (number | string)[];
  /** Of every row, where a column says it; an undefined part is left out. */
  readonly parts: readonly (Part | undefined)[] | undefined;
  /** Of the classes, from the Hub's metadata. */
  readonly names: readonly string[] | undefined;
  /** Columns that are not used. */
  readonly unused: readonly string[];
  /** Row groups, with the bytes of their images. */
  readonly groups: readonly { readonly firstRow: number; readonly rows: number; readonly bytes: number }[];
}

export interface RowImage {
  readonly row: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

type Asked =
  | { readonly kind: "table"; readonly file: string }
  | {
      readonly kind: "group";
      readonly file: string;
      readonly group: number;
      readonly part: Part | undefined;
    };
export type ParquetQuestion = Asked & { readonly id: number };

export type ParquetAnswer =
  | { readonly id: number; readonly table: TableFacts }
  | { readonly id: number; readonly images: readonly RowImage[] }
  | { readonly id: number; readonly failure: { readonly code: ErrorCode; readonly message: string } };

/** @throws DataError for a file that is not a Parquet, that is damaged, or that lacks the columns */
export async function readTable(file: string): Promise<TableFacts> {
  const answer = await ask({ kind: "table", file }, PATIENCE);
  if ("table" in answer) return answer.table;
  throw damaged(file, "no table");
}

/** The encoded images of one row group that belong to the part, or all. @throws DataError */
export async function readGroupImages(
  table: TableFacts,
  group: number,
  part: Part | undefined,
): Promise<readonly RowImage[]> {
  const { file } = table;
  const bytes = table.groups[group]?.bytes ?? 0;
  const answer = await ask({ kind: "group", file, group, part }, PATIENCE + bytes / SLOWEST_DISK);
  if ("images" in answer) return answer.images;
  throw damaged(file, "no images");
}

/** Milliseconds for what is not read from disk. */
const PATIENCE = 8000;
/** Bytes in a millisecond. */
const SLOWEST_DISK = 2000;

interface Thread {
  readonly worker: Worker;
  readonly pending: Map<number, (answer: ParquetAnswer | Error) => void>;
}

let thread: Thread | undefined;
let nextId = 0;
let queue: Promise<unknown> = Promise.resolve();

/** One question at a time: the time of one is not the next one's. */
async function ask(question: Asked, patience: number): Promise<ParquetAnswer> {
  const turn = queue.then(async () => askNow(question, patience));
  queue = turn.catch(() => undefined);
  return turn;
}

async function askNow(question: Asked, patience: number): Promise<ParquetAnswer> {
  thread ??= start();
  const { worker, pending } = thread;
  const id = nextId++;
  let timer: NodeJS.Timeout | undefined;
  worker.ref();
  try {
    const answer = await new Promise<ParquetAnswer | Error>((resolve) => {
      pending.set(id, resolve);
      timer = setTimeout(
        () => resolve(new Error(`reading it takes longer than ${Math.round(patience / 1000)} s`)),
        patience,
      );
      worker.postMessage({ ...question, id } satisfies ParquetQuestion);
    });
    if (answer instanceof Error) {
      if (thread?.worker === worker) thread = undefined;
      void worker.terminate();
      throw damaged(question.file, answer.message);
    }
    if ("failure" in answer) {
      const [message = "", hint] = answer.failure.message.split("\n");
      throw new DataError(question.file, message, { code: answer.failure.code, hint });
    }
    return answer;
  } finally {
    clearTimeout(timer);
    pending.delete(id);
    worker.unref();
  }
}

export function damaged(file: string, why: string, cause?: unknown): DataError {
  return new DataError(file, `${file} is not a Parquet file that can be read: ${why}`, {
    code: "data/damaged",
    hint: "Download it again; it may be cut off, or a pointer of Git LFS.",
    cause,
  });
}

function start(): Thread {
  const url = new URL(
    import.meta.url.endsWith(".ts") ? "./parquet-worker.ts" : "./parquet-worker.js",
    import.meta.url,
  );
  const worker = new Worker(url, {
    execArgv: ["--disable-warning=ExperimentalWarning"],
    resourceLimits: { maxOldGenerationSizeMb: 1024 },
  });
  worker.unref();
  const pending: Thread["pending"] = new Map();
  const fail = (error: Error): void => {
    if (thread?.worker === worker) thread = undefined;
    for (const resolve of pending.values()) resolve(error);
  };
  worker.on("message", (answer: ParquetAnswer) => pending.get(answer.id)?.(answer));
  worker.on("error", fail);
  worker.on("exit", () => fail(new Error("its reader ended")));
  return { worker, pending };
}
