/**
 * Damaged and hostile data: mutants of lists, tables and images are opened, and each must be read or refused with a
 * DataError, within 10 s and 1 GB, with no rejection that nobody handles. Seeded: a mutant that fails can be made again.
 *
 *     node scripts/stress-data.ts [--mutants 2000] [--seed 0] [--kind parquet]
 */
import { fork } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { parquetWriteBuffer } from "hyparquet-writer";
import sharp, { type Sharp } from "sharp";
import { decodeImage } from "../packages/deit/src/data/decoding/decode.ts";
import { openDatasets } from "../packages/deit/src/data/open.ts";
import { DeitError } from "../packages/deit/src/errors.ts";
import { createRandom, type Random } from "../packages/deit/src/random.ts";

export const KINDS = [
  "csv",
  "labels",
  "jsonl",
  "parquet",
  "png",
  "jpeg",
  "webp",
  "gif",
  "bmp",
  "tiff",
  "avif",
] as const;
export type Kind = (typeof KINDS)[number];

const MAX_SECONDS = 10;
const MAX_BYTES = 1e9;

export interface Outcome {
  readonly mutant: number;
  /** "read", the code of a DataError, or what went wrong. */
  readonly result: string;
  readonly failed: boolean;
}

/** A whole file of a kind; lists and tables name the images 0.png … 5.png. */
async function original(kind: Kind): Promise<Uint8Array> {
  const rows = [0, 1, 2, 3, 4, 5].map((i) => ({
    file: `${i}.png`,
    label: i % 2 === 0 ? "cat" : "dog",
    split: i < 4 ? "train" : "val",
  }));
  switch (kind) {
    case "csv":
      return Buffer.from(
        `file_name,label,split,note\n${rows.map((row) => `"${row.file}",${row.label},${row.split},x`).join("\n")}\n`,
      );
    case "labels":
      return Buffer.from(rows.map((row, i) => `${row.file},${i % 3}\n`).join(""));
    case "jsonl":
      return Buffer.from(
        rows.map(({ file, ...row }) => `${JSON.stringify({ file_name: file, ...row })}\n`).join(""),
      );
    case "parquet": {
      const image = new Uint8Array(await drawn().png().toBuffer());
      const info = { info: { features: { label: { names: ["cat", "dog"], _type: "ClassLabel" } } } };
      const columnData = [
        { name: "image", data: rows.map(() => image), type: "BYTE_ARRAY" as const },
        { name: "label", data: rows.map((_, i) => i % 2), type: "INT32" as const },
        { name: "split", data: rows.map(({ split }) => split) },
      ];
      const kvMetadata = [{ key: "huggingface", value: JSON.stringify(info) }];
      return new Uint8Array(parquetWriteBuffer({ columnData, kvMetadata, rowGroupSize: 4 }));
    }
    case "bmp":
      return bmp();
    default:
      return drawn().toFormat(kind).toBuffer();
  }
}

function drawn(): Sharp {
  const data = Uint8Array.from({ length: 3 * 24 * 20 }, (_, i) => (i * 37) % 251);
  return sharp(data, { raw: { width: 24, height: 20, channels: 3 } });
}

function bmp(): Uint8Array {
  const bytes = Buffer.alloc(54 + 3 * 24 * 20, 90);
  bytes.fill(0, 0, 54);
  bytes.write("BM");
  bytes.writeUInt32LE(54, 10);
  bytes.writeUInt32LE(40, 14);
  bytes.writeInt32LE(24, 18);
  bytes.writeInt32LE(20, 22);
  bytes.writeUInt16LE(24, 28);
  return bytes;
}

const NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
const WORDS = [
  '"',
  ",",
  "\n",
  "\0",
  "__proto__",
  "constructor",
  "500000000",
  "-1",
  "1e9",
  "[[[[",
  "{}",
  "\uFEFF",
  "../../x",
  "train",
  ";",
  "\t",
];

/** One to four changes: bytes, numbers, words, pieces that are cut, doubled or moved. */
export function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let result = Buffer.from(bytes);
  const changes = 1 + random.integer(4);
  for (let i = 0; i < changes && result.length > 0; i++) {
    const at = random.integer(result.length);
    const length = 1 + random.integer(Math.min(64, result.length - at));
    switch (random.integer(8)) {
      case 0:
        result[at] = (result[at] ?? 0) ^ (1 << random.integer(8));
        break;
      case 1:
        result[at] = random.integer(256);
        break;
      case 2: {
        const number = Buffer.alloc(4);
        number.writeUInt32LE(NUMBERS[random.integer(NUMBERS.length)] ?? 0);
        result.set(number.subarray(0, result.length - at), at);
        break;
      }
      case 3:
        result = Buffer.concat([
          result.subarray(0, at),
          Buffer.from(WORDS[random.integer(WORDS.length)] ?? ""),
          result.subarray(at),
        ]);
        break;
      case 4:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + length)]);
        break;
      case 5:
        result = Buffer.concat([
          result.subarray(0, at + length),
          result.subarray(at, at + length),
          result.subarray(at + length),
        ]);
        break;
      case 6:
        result = result.subarray(0, at);
        break;
      default:
        result.copyWithin(random.integer(result.length), at, at + length);
    }
  }
  return new Uint8Array(result);
}

/** Opens mutants one after another. Never throws. */
export async function* stress(
  kind: Kind,
  { from, to, seed }: { from: number; to: number; seed: number },
): AsyncGenerator<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), "deit-stress-"));
  const unhandled: string[] = [];
  const onUnhandled = (error: unknown): void => void unhandled.push(String(error));
  process.on("unhandledRejection", onUnhandled);
  try {
    const bytes = await original(kind);
    for (let i = 0; i < 6; i++)
      await drawn()
        .png()
        .toFile(join(folder, `${i}.png`));
    for (let mutant = from; mutant < to; mutant++) {
      const changed = mutate(bytes, createRandom(seed, "mutant", kind, mutant));
      const start = performance.now();
      let result = await openMutant(kind, changed, folder).catch((error: unknown) =>
        error instanceof DeitError
          ? error.code
          : `! ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
      await new Promise((resolve) => setImmediate(resolve));
      const seconds = (performance.now() - start) / 1000;
      const rss = process.memoryUsage().rss;
      if (unhandled.length > 0) result = `! unhandled: ${unhandled.splice(0).join("; ")}`;
      else if (seconds > MAX_SECONDS) result = `! ${seconds.toFixed(1)} s`;
      else if (rss > MAX_BYTES) result = `! ${Math.round(rss / 1e6)} MB`;
      yield { mutant, result, failed: result.startsWith("!") || result === "unclassified" };
    }
  } finally {
    process.off("unhandledRejection", onUnhandled);
    await rm(folder, { recursive: true, force: true });
  }
}

const FILES: Partial<Record<Kind, string>> = {
  csv: "list.csv",
  labels: "labels.csv",
  jsonl: "metadata.jsonl",
  parquet: "table.parquet",
};

async function openMutant(kind: Kind, bytes: Uint8Array, folder: string): Promise<string> {
  const name = FILES[kind];
  if (name === undefined) {
    await decodeImage(bytes, `mutant.${kind}`);
    return "read";
  }
  await writeFile(join(folder, name), bytes);
  const dataPath = kind === "csv" || kind === "parquet" ? join(folder, name) : folder;
  const { train, validation } = await openDatasets({ dataPath, valSplit: 0.5 }, { onNote: () => {} });
  for (const dataset of [train, validation])
    for (let i = 0; i < (dataset?.length ?? 0); i++)
      await dataset?.read(i).catch((error: unknown) => {
        if (!(error instanceof DeitError)) throw error;
      });
  return "read";
}

interface Task {
  readonly kind: Kind;
  readonly from: number;
  readonly to: number;
  readonly seed: number;
}

/** A process of its own: what ends it is a finding, too. */
async function inChild(task: Task): Promise<Outcome[]> {
  const child = fork(fileURLToPath(import.meta.url), ["--child", JSON.stringify(task)], {
    execArgv: [...process.execArgv, "--max-old-space-size=1024"],
  });
  const outcomes: Outcome[] = [];
  const impatient = (): NodeJS.Timeout => setTimeout(() => child.kill("SIGKILL"), 2 * MAX_SECONDS * 1000);
  let timer = impatient();
  child.on("message", (outcome: Outcome) => {
    clearTimeout(timer);
    timer = impatient();
    outcomes.push(outcome);
  });
  const code = await new Promise((resolve) => child.once("exit", (exit, signal) => resolve(signal ?? exit)));
  clearTimeout(timer);
  const next = task.from + outcomes.length;
  if (code === 0) return outcomes;
  const ended: Outcome = { mutant: next, result: `! the process ended: ${String(code)}`, failed: true };
  return [...outcomes, ended, ...(next + 1 < task.to ? await inChild({ ...task, from: next + 1 }) : [])];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      mutants: { type: "string", default: "2000" },
      seed: { type: "string", default: "0" },
      kind: { type: "string" },
      child: { type: "string" },
    },
  });
  if (values.child !== undefined) {
    const { kind, ...range } = JSON.parse(values.child) as Task;
    for await (const outcome of stress(kind, range)) process.send?.(outcome);
    process.disconnect();
    return;
  }
  let failures = 0;
  for (const kind of KINDS.filter((name) => values.kind === undefined || name === values.kind)) {
    const outcomes = await inChild({ kind, from: 0, to: Number(values.mutants), seed: Number(values.seed) });
    const counts = new Map<string, number>();
    for (const { mutant, result, failed } of outcomes) {
      if (failed) console.log(`${kind} ${mutant}: ${result.slice(0, 600)}`);
      else counts.set(result, (counts.get(result) ?? 0) + 1);
      if (failed) failures++;
    }
    const words = [...counts].toSorted((a, b) => b[1] - a[1]).map(([result, count]) => `${result} ${count}`);
    console.log(`${kind}: ${outcomes.length} mutants: ${words.join(", ")}`);
  }
  console.log(failures === 0 ? "none failed" : `${failures} failed`);
  process.exitCode = failures === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
