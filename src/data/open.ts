/**
 * From the options that people give (a folder, the name of a dataset, a share to hold back) to the pictures that a
 * run trains on and those that it is measured with.
 */
import { ConfigError, DataError } from "../errors.ts";
import { cacheFolder } from "./cache-folder.ts";
import type { CifarName } from "./cifar.ts";
import { type Dataset, type DatasetSource, openDataset, takeSubset } from "./dataset.ts";
import { locateDataset, type Located } from "./locate.ts";
import { pulledDataset } from "./pull.ts";

export interface DataOptions {
  /** A folder, a .parquet or a .csv file; null for a dataset that is pulled by name. */
  readonly dataPath?: string | null;
  readonly dataSet?: "auto" | "folder" | CifarName;
  /** Share of every class that is held back when the folder has no validation pictures of its own. */
  readonly valSplit?: number;
  /** Hold back that share of the training pictures even where there are validation pictures, which stay unseen. */
  readonly holdOut?: boolean;
  readonly seed?: number;
  /** Train on that many pictures only, the classes in proportion. */
  readonly numTrain?: number | null;
}

export interface OpenedDatasets {
  readonly train: Dataset;
  /** Undefined when there is none and `valSplit` is 0. */
  readonly validation: Dataset | undefined;
  /** The validation pictures were split off by chance (of `seed`). */
  readonly automaticSplit: boolean;
}

/** Training and validation pictures of the same classes, no picture in both. Throws DataError, ConfigError. */
export async function openDatasets(options: DataOptions): Promise<OpenedDatasets> {
  const { valSplit = 0.1, seed = 0, numTrain = null, holdOut = false } = options;
  const located = await locate(options);
  const source = located.train ?? located.all;
  if (source === undefined)
    throw new DataError(options.dataPath ?? "", `${options.dataPath} has validation pictures only`, {
      hint: "Training needs a train/ folder beside them.",
    });
  const whole = await openDataset(source);
  const automaticSplit = (holdOut || located.validation === undefined) && valSplit > 0;
  const split = (part: "train" | "validation"): Dataset =>
    takeSubset(whole, { rule: "split", part, fraction: valSplit, seed });
  const train = automaticSplit ? split("train") : whole;
  const own = located.validation && withClasses(located.validation, whole.classes);
  const validation = automaticSplit ? split("validation") : own && (await openDataset(own));
  return {
    train: numTrain === null ? train : takeSubset(train, { rule: "sample", count: numTrain, seed }),
    validation,
    automaticSplit,
  };
}

export interface EvaluationDataOptions extends Pick<
  DataOptions,
  "dataPath" | "dataSet" | "valSplit" | "seed"
> {
  readonly split?: "val" | "train";
  /** The model's classes by index: folders are matched with them by name. */
  readonly classes?: readonly string[] | undefined;
}

/**
 * Pictures to measure a model with: those of the split that the folder has, or the whole of a folder without a
 * split. With `valSplit` above 0 the latter is split as training splits it (by the same seed).
 */
export async function openEvaluation(options: EvaluationDataOptions): Promise<Dataset> {
  const { split = "val", valSplit = 0, seed = 0, classes } = options;
  const located = await locate(options);
  const own = split === "val" ? located.validation : located.train;
  const source = own ?? located.all;
  if (source === undefined)
    throw new DataError(options.dataPath ?? "", `${options.dataPath} has no ${split}/ folder`, {
      hint: `Choose the other with --split ${split === "val" ? "train" : "val"}.`,
    });
  // the indices of validation folders are those of the training folders, where these are there to see
  const names =
    classes ??
    (own && located.train && own.kind !== "cifar" ? (await openDataset(located.train)).classes : undefined);
  const dataset = await openDataset(names ? withClasses(source, names) : source);
  if (own || valSplit === 0) return dataset;
  return takeSubset(dataset, {
    rule: "split",
    part: split === "val" ? "validation" : "train",
    fraction: valSplit,
    seed,
  });
}

async function locate({ dataPath = null, dataSet = "auto" }: DataOptions): Promise<Located> {
  if (dataPath === null) {
    if (dataSet === "cifar10" || dataSet === "cifar100") return locateDataset(await pulledDataset(dataSet));
    throw new ConfigError("dataPath", "no pictures were given", {
      hint: "Give a folder with --data-path, or --data-set cifar10.",
    });
  }
  if (dataSet === "folder" || dataSet === "auto") return locateDataset(dataPath);
  const located = await locateDataset(dataPath);
  if (located.train?.kind === "cifar" && located.train.name === dataSet) return located;
  // DeiT's --data-path is the folder into which torchvision downloads
  throw new DataError(dataPath, `${dataPath} does not hold ${dataSet}`, {
    hint: `Leave --data-path out to use the cache folder ${cacheFolder()} (deit data pull ${dataSet}).`,
  });
}

function withClasses(source: DatasetSource, classes: readonly string[]): DatasetSource {
  return source.kind === "cifar" || source.kind === "subset" || source.kind === "files"
    ? source
    : { ...source, classes };
}
