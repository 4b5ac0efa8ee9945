/** What kind of dataset a folder is, and which parts of it are for training and which for validation. */
import { join } from "node:path";
import { findCifar } from "./cifar.ts";
import type { DatasetSource } from "./dataset.ts";
import type { Entry } from "./folder.ts";
import { visibleEntries } from "./folder.ts";
import { LABELS_FILE } from "./labels-csv.ts";

export interface Located {
  /** Pictures that belong to no side: no split was made. */
  readonly all?: DatasetSource;
  readonly train?: DatasetSource;
  readonly validation?: DatasetSource;
}

const TRAIN = ["train", "training"];
const VALIDATION = ["val", "validation", "valid", "test"]; // the first that is there
const PARTS = new Set([...TRAIN, ...VALIDATION]);

/**
 * Recognises a .parquet or .csv file, CIFAR's files, Parquet files as the Hub has them (train-00000-of-00002.parquet,
 * also in data/), train.csv and val.csv, sub-folders train/ and val/ (or validation/, test/) when there are no others, a
 * labels.csv, and else takes the folder for a folder of classes. Throws DataError when there is no such folder.
 */
export async function locateDataset(path: string): Promise<Located> {
  if (/\.(?:parquet|csv)$/i.test(path)) return { all: tableAt(path) };
  const entries = await visibleEntries(path);
  const cifar = await findCifar(path);
  if (cifar) {
    const { name } = cifar;
    return {
      train: { kind: "cifar", name, path, split: "train" },
      validation: { kind: "cifar", name, path, split: "test" },
    };
  }
  const tables = await locateTables(path, entries);
  if (tables) return tables;
  const folders = entries.filter(({ isFolder }) => isFolder).map(({ name }) => name);
  // "train" alone may be a class: CIFAR-100 has one
  if (folders.length > 0 && folders.every((name) => PARTS.has(name))) {
    const part = async (names: readonly string[]): Promise<DatasetSource | undefined> => {
      const name = names.find((candidate) => folders.includes(candidate));
      return name === undefined ? undefined : kindOf(join(path, name));
    };
    const train = await part(TRAIN);
    const validation = await part(VALIDATION);
    return { ...(train && { train }), ...(validation && { validation }) };
  }
  return { all: await kindOf(path) };
}

function tableAt(path: string): DatasetSource {
  return /csv$/i.test(path) ? { kind: "csv", path } : { kind: "parquet", files: [path] };
}

/** Parquet files by the part that their names begin with, or train.csv with its validation file. */
async function locateTables(path: string, entries: readonly Entry[]): Promise<Located | undefined> {
  const files = entries.filter(({ isFolder }) => !isFolder).map(({ name }) => name);
  const parquet = files.filter((name) => /\.parquet$/i.test(name));
  if (parquet.length === 0) {
    const nested = entries.some(({ name, isFolder }) => name === "data" && isFolder);
    const inside = nested ? await visibleEntries(join(path, "data")) : [];
    if (inside.some(({ name }) => /\.parquet$/i.test(name))) return locateTables(join(path, "data"), inside);
    const csv = (names: readonly string[]): string | undefined =>
      names.map((name) => `${name}.csv`).find((name) => files.includes(name));
    const [train, validation] = [csv(TRAIN), csv(VALIDATION)];
    if (train === undefined) return undefined;
    const at = (name: string): DatasetSource => ({ kind: "csv", path: join(path, name) });
    return { train: at(train), ...(validation !== undefined && { validation: at(validation) }) };
  }
  const part = (names: readonly string[]): DatasetSource | undefined => {
    const found = names
      .map((name) => parquet.filter((file) => file.startsWith(name)))
      .find((f) => f.length > 0);
    return found && { kind: "parquet", files: found.map((file) => join(path, file)) };
  };
  const [train, validation] = [part(TRAIN), part(VALIDATION)];
  if (train === undefined && validation === undefined)
    return { all: { kind: "parquet", files: parquet.map((file) => join(path, file)) } };
  return { ...(train && { train }), ...(validation && { validation }) };
}

async function kindOf(path: string): Promise<DatasetSource> {
  const entries = await visibleEntries(path);
  const hasLabels = entries.some(({ name, isFolder }) => name === LABELS_FILE && !isFolder);
  return { kind: hasLabels ? "labels-csv" : "folder", path };
}
