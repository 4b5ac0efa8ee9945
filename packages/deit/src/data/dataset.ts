/**
 * What a dataset is to the rest of the system: labelled images by number. And where one comes from, as plain
 * data, so that a loader's worker can open the same one.
 */
import type { RgbImage } from "../augmentation/rgb-image.ts";
import { DataError } from "../errors.ts";
import { type CifarSource, openCifar } from "./cifar.ts";
import { type CsvSource, openCsv } from "./tables/listed-images.ts";
import { type FilesSource, openFiles } from "./unlabelled-images.ts";
import { type FolderSource, openFolder } from "./folder.ts";
import { type LabelsCsvSource, openLabelsCsv } from "./tables/labels-csv.ts";
import { openParquet, type ParquetSource } from "./tables/parquet.ts";
import type { MemorySource } from "./memory-images.ts";
import { type Selection, takeSubset } from "./subset.ts";

export interface Dataset {
  readonly name: string;
  readonly length: number;
  /** Display names by class index. */
  readonly classes: readonly string[];
  /** Class index of every image: [length]. */
  readonly labels: Int32Array;
  /** Opens this dataset again. */
  readonly source: DatasetSource;
  /** What of the images is held in memory: handed to workers, so that they need not read it again. */
  readonly memory?: SharedArrayBuffer;
  /** Of a subset: the index of each image in the dataset that it was taken from, however often. [length] */
  readonly indices?: Uint32Array;
  /** Whether reading an image means decoding a file, which is worth threads of its own. */
  readonly decodes: boolean;
  /** The decoded image: RGB, EXIF orientation applied. Throws DataError when its file is broken. */
  read(index: number): Promise<RgbImage>;
  /** The image as its file has it, not decoded; undefined where images are not files (CIFAR). */
  encoded?(index: number): Promise<Uint8Array>;
  /**
   * What an image is called: its path below the dataset's root with "/", "train-00000.parquet row 12" or "cifar10 test 123".
   * The same whenever and wherever the dataset is opened, so what a run keeps of an image.
   */
  describe(index: number): string;
  /** What was assumed when it was opened, a sentence each. */
  readonly notes?: readonly string[];
  /** Files beside the images that are not used. */
  leftOut?(): Promise<readonly LeftOut[]>;
}

/** Files that are left out for one reason. */
export interface LeftOut {
  /** "images beside the folders of classes", "classes without images". */
  readonly reason: string;
  /** What files of an unsupported type end in: ".txt". */
  readonly ending?: string;
  /** Below the dataset's root. */
  readonly names: readonly string[];
}

/** JSON-able. */
export type DatasetSource =
  | FolderSource
  | FilesSource
  | LabelsCsvSource
  | CsvSource
  | ParquetSource
  | CifarSource
  | MemorySource
  | SubsetSource;

/** Some images of another dataset; its classes stay as they are. */
export interface SubsetSource {
  readonly kind: "subset";
  readonly of: DatasetSource;
  readonly take: Selection;
}

/** Opens a dataset. `memory` is that of the same dataset, opened before. Throws DataError. */
export async function openDataset(
  source: DatasetSource,
  { memory }: { memory?: SharedArrayBuffer | undefined } = {},
): Promise<Dataset> {
  switch (source.kind) {
    case "folder":
      return openFolder(source);
    case "files":
      return openFiles(source);
    case "labels-csv":
      return openLabelsCsv(source);
    case "csv":
      return openCsv(source);
    case "parquet":
      return openParquet(source, memory);
    case "cifar":
      return openCifar(source, memory);
    case "memory":
      throw new DataError(source.name, `${source.name} is held in memory and cannot be opened again`, {
        code: "data/in-memory",
        hint: "Use the dataset itself, in the thread that has its images.",
      });
    case "subset":
      return takeSubset(await openDataset(source.of, { memory }), source.take);
  }
}
