/**
 * The log of a run: one record an epoch, as lines of JSON with the reference's keys, and the same as a table.
 * Text only; who writes it where is run-folder.ts.
 */

/** What JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** One epoch. Test results are absent in epochs without an evaluation; any other keys may be added. */
export interface EpochRecord {
  /** From 0. */
  readonly epoch: number;
  readonly train_loss: number;
  /** Learning rate at the end of the epoch. */
  readonly train_lr: number;
  readonly test_loss?: number;
  /** Percent. */
  /** Those that could be read. */
  readonly test_images?: number;
  readonly test_acc1?: number;
  readonly test_acc5?: number;
  readonly n_parameters: number;
  readonly [key: string]: Json | undefined;
}

/** Columns of summary.csv that always come first, in this order. */
const COLUMNS = ["epoch", "train_loss", "train_lr", "test_loss", "test_acc1", "test_acc5", "n_parameters"];

/** log.jsonl: a line a record. */
export function formatLog(records: readonly EpochRecord[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join("");
}

/** Reads log.jsonl; a last line that is cut off (a run was killed, or is writing now) ends the log there. */
export function parseLog(text: string): EpochRecord[] {
  const records: EpochRecord[] = [];
  for (const line of text.split("\n")) {
    if (line === "") continue;
    try {
      const record: unknown = JSON.parse(line);
      if (!isEpochRecord(record)) break;
      records.push(record);
    } catch {
      break;
    }
  }
  return records;
}

/** summary.csv: the reference's columns that occur, then all others in order of appearance. */
export function formatSummary(records: readonly EpochRecord[]): string {
  if (records.length === 0) return "";
  const seen = new Set(records.flatMap((record) => Object.keys(record)));
  const columns = [
    ...COLUMNS.filter((column) => seen.has(column)),
    ...[...seen].filter((key) => !COLUMNS.includes(key)),
  ];
  const rows = records.map((record) => columns.map((column) => cell(record[column])));
  return [columns.map(cell), ...rows].map((row) => `${row.join(",")}\n`).join("");
}

function cell(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Whether a value read from a file can stand in a log. */
export function isEpochRecord(value: unknown): value is EpochRecord {
  return (
    typeof value === "object" &&
    value !== null &&
    "epoch" in value &&
    Number.isSafeInteger(value.epoch) &&
    Number(value.epoch) >= 0
  );
}
