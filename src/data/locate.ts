/** What kind of dataset a folder is, and which parts of it are for training and which for validation. */
import { join } from "node:path";
import { findCifar } from "./cifar.ts";
import type { DatasetSource } from "./dataset.ts";
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
 * Recognises CIFAR's files, sub-folders train/ and val/ (or validation/, test/) when there are no others, a
 * labels.csv, and else takes the folder for a folder of classes. Throws DataError when there is no such folder.
 */
export async function locateDataset(path: string): Promise<Located> {
  const entries = await visibleEntries(path);
  const cifar = await findCifar(path);
  if (cifar) {
    const { name } = cifar;
    return {
      train: { kind: "cifar", name, path, split: "train" },
      validation: { kind: "cifar", name, path, split: "test" },
    };
  }
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

async function kindOf(path: string): Promise<DatasetSource> {
  const entries = await visibleEntries(path);
  const hasLabels = entries.some(({ name, isFolder }) => name === LABELS_FILE && !isFolder);
  return { kind: hasLabels ? "labels-csv" : "folder", path };
}
