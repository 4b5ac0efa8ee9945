/** The thread that reads Parquet files: what hangs or fails in it for a damaged file ends with it. */
import { parentPort } from "node:worker_threads";
import { DataError } from "../../errors.ts";
import type { ParquetAnswer, ParquetQuestion } from "./parquet-reader.ts";
import { openTable, readGroup, type Table } from "./parquet-table.ts";

let last: Table | undefined;

async function tableOf(file: string): Promise<Table> {
  if (last?.file !== file) last = await openTable(file);
  return last;
}

async function answer(question: ParquetQuestion): Promise<void> {
  const { id, file } = question;
  try {
    if (question.kind === "group") {
      const images = await readGroup(await tableOf(file), question);
      const buffers = [...new Set(images.map(({ bytes }) => bytes.buffer))];
      parentPort?.postMessage({ id, images } satisfies ParquetAnswer, buffers);
      return;
    }
    last = undefined; // the file may have changed
    const { labels, parts, names, unused, groups } = await tableOf(file);
    parentPort?.postMessage({
      id,
      table: { file, labels, parts, names, unused, groups },
    } satisfies ParquetAnswer);
  } catch (error) {
    const code = error instanceof DataError ? error.code : "data/damaged";
    const message = error instanceof Error ? error.message : String(error);
    parentPort?.postMessage({ id, failure: { code, message } } satisfies ParquetAnswer);
  }
}

let queue = Promise.resolve();
parentPort?.on("message", (question: ParquetQuestion) => {
  queue = queue.then(async () => answer(question));
});
