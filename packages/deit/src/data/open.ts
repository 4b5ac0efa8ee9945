/**
 * From the options that people give (a folder, the name of a dataset, a share to hold back) to the images that a
 * run trains on and those that it is measured with.
 */
import { ConfigError, DataError } from "../errors.ts";
import { differingNames } from "../class-names.ts";
import { cacheFolder } from "./download/cache-folder.ts";
import type { KnownClasses } from "./class-keys.ts";
import { alikeClasses, classKeys, classNotes, imageNetNames, isImageNet } from "./class-keys.ts";
import { CIFAR100_CLASSES, CIFAR10_CLASSES } from "./cifar-classes.ts";
import type { CifarName } from "./cifar.ts";
import { type Dataset, type DatasetSource, openDataset } from "./dataset.ts";
import { takeSubset } from "./subset.ts";
import { filledFolders } from "./folder.ts";
import { leftOutWords } from "./image-names.ts";
import { readClassNames } from "./tables/labels-csv.ts";
import { locateDataset, type Located } from "./locate.ts";
import { parquetClassNames } from "./tables/parquet.ts";
import { describeChanges } from "./image-changes.ts";
import { checkSamples } from "./image-samples.ts";
import { pulledDataset } from "./download/download-dataset.ts";
import type { RecordedImages } from "./recorded-images.ts";
import { imagesGone, measuredByRecord, partByRecord } from "./recorded-images.ts";
import type { Selection } from "./subset.ts";

/** Datasets that are open already, instead of a folder or a name. */
export interface GivenImages {
  readonly train: Dataset;
  /** Undefined: `valSplit` of the training images is held out. */
  readonly validation?: Dataset | undefined;
}

export interface DataOptions {
  /** A folder, a .parquet or a .csv file; null for a dataset that is pulled by name. */
  readonly dataPath?: string | null;
  readonly dataSet?: "auto" | "folder" | CifarName;
  /** Share of every class that is held out when the folder has no validation images of its own. */
  readonly valSplit?: number;
  /** Hold back that share of the training images even where there are validation images, which stay unseen. */
  readonly holdOut?: boolean;
  readonly seed?: number;
  /** Train on that many images only, the classes in proportion. */
  readonly numTrain?: number | null;
  /** Images of a run (of several: of the first): they are parted as it was, whatever the other options say. */
  readonly recorded?: RecordedImages | readonly RecordedImages[] | undefined;
}

/** Before the name of images that code has given, where a run records its `dataPath`. */
export const MEMORY = "memory:";

/** As {@link DataOptions}, or datasets that are open. */
export interface TrainingDataOptions extends DataOptions {
  readonly given?: GivenImages | undefined;
}

export interface OpenedDatasets {
  readonly train: Dataset;
  /** Undefined when there is none and `valSplit` is 0. */
  readonly validation: Dataset | undefined;
  /** The validation images were split off by chance (of `seed`). */
  readonly automaticSplit: boolean;
  /** All that `train` was taken from; that `validation` was, too, where the split is automatic. */
  readonly whole: Dataset;
}

/** Training and validation images of the same classes, no image in both. Throws DataError, ConfigError. */
export async function openDatasets(
  options: TrainingDataOptions,
  { onNote }: Pick<KnownTo, "onNote"> = {},
): Promise<OpenedDatasets> {
  const { valSplit = 0.1, seed = 0, numTrain = null } = options;
  const note = eachOnce(onNote);
  const { whole, openOwn, automaticSplit } = await openWhole(options, note);
  for (const text of alikeClasses(whole.classes)) note(text);
  const sampled = (dataset: Dataset): Dataset =>
    numTrain === null ? dataset : takeSubset(dataset, { rule: "sample", count: numTrain, seed });
  const split = (part: "train" | "validation"): Dataset =>
    takeSubset(whole, { rule: "split", part, fraction: valSplit, seed });
  const train = automaticSplit ? split("train") : whole;
  const drawn = automaticSplit ? split("validation") : await openOwn();
  const hasNone = drawn?.length === 0;
  if (hasNone) note("no class has two images: none is held out for validation");
  const validation = hasNone ? undefined : drawn;
  if (validation !== undefined) for (const text of classNotes({ whole, validation })) note(text);
  const opened = {
    whole,
    train: sampled(hasNone ? whole : train),
    validation,
    automaticSplit: automaticSplit && !hasNone,
  };
  const [recorded] = [options.recorded ?? []].flat();
  if (recorded === undefined) return opened;
  const { changes, samples, ...parted } = partByRecord(opened, recorded);
  const replaced = await checkSamples(samples, recorded, { toTrain: true });
  for (const change of describeChanges(changes, recorded.run)) onNote?.(change);
  if (replaced !== undefined) onNote?.(replaced);
  return parted;
}

/** The images to train on, and where the images to validate with come from. */
async function openWhole(
  options: TrainingDataOptions,
  note: (note: string) => void,
): Promise<{
  readonly whole: Dataset;
  readonly automaticSplit: boolean;
  readonly openOwn: () => Promise<Dataset | undefined>;
}> {
  const { given } = options;
  if (given !== undefined) {
    const { train: whole, validation } = given;
    if (validation !== undefined) checkSameClasses(whole, validation);
    return { whole, automaticSplit: isSplit(given, options), openOwn: async () => validation };
  }
  const located = await locate(options);
  const source = located.train ?? located.all;
  if (source === undefined)
    throw new DataError(options.dataPath ?? "", `${options.dataPath} has validation images only`, {
      code: "data/no-part",
      hint: "Training needs a train/ folder beside them.",
    });
  for (const text of located.notes ?? []) note(text);
  const whole = await openNoted(source, note);
  const own = located.validation && withClasses(located.validation, whole.classes);
  return {
    whole,
    automaticSplit: isSplit(located, options),
    openOwn: async () => own && openNoted(own, note),
  };
}

/** @throws DataError */
function checkSameClasses(train: Dataset, validation: Dataset): void {
  const at = train.classes.findIndex((name, index) => validation.classes[index] !== name);
  if (at < 0 && train.classes.length === validation.classes.length) return;
  const name = (classes: readonly string[]): string => JSON.stringify(classes[Math.max(at, 0)] ?? null);
  throw new DataError(
    validation.name,
    `the validation images have other classes than the training images: ${validation.classes.length} and ${train.classes.length} (class ${Math.max(at, 0)}: ${name(validation.classes)} and ${name(train.classes)})`,
    { code: "data/unknown-class", hint: "Give both the same classes, in the same order." },
  );
}

function eachOnce(onNote: KnownTo["onNote"]): (note: string) => void {
  const said = new Set<string>();
  return (note) => {
    if (said.has(note)) return;
    said.add(note);
    onNote?.(note);
  };
}

function isSplit(
  { validation }: { readonly validation?: unknown },
  { valSplit = 0.1, holdOut = false }: DataOptions,
): boolean {
  return (holdOut || validation === undefined) && valSplit > 0;
}

/** Whether the validation images are split off by chance, so that every seed has its own. */
export async function splitsByChance(options: DataOptions): Promise<boolean> {
  return isSplit(await locate(options), options);
}

export interface EvaluationDataOptions extends Pick<
  DataOptions,
  "dataPath" | "dataSet" | "valSplit" | "holdOut" | "seed" | "recorded"
> {
  readonly split?: "val" | "train";
  /** The model's classes by index: folders are matched with them by name. */
  readonly classes?: readonly string[] | undefined;
}

export interface KnownTo {
  /** The model's classes, named or not: folders are matched with them as class-keys.ts says. */
  readonly model?: KnownClasses | undefined;
  readonly onNote?: ((note: string) => void) | undefined;
}

/**
 * Images to measure a model with: those of the split that the folder has, or the whole of a folder without a
 * split. With `valSplit` above 0 a folder without validation images is split as training splits it (by the same seed);
 * with `holdOut`, the training images of any folder are. Of images of recorded runs, those are opened that all of these
 * held out (or trained on, with `split`).
 */
export async function openEvaluation(
  options: EvaluationDataOptions,
  { model, onNote }: KnownTo = {},
): Promise<Dataset> {
  const { split = "val", valSplit = 0, holdOut = false, seed = 0, classes } = options;
  const located = await locate(options);
  const isParted = isSplit(located, { valSplit, holdOut });
  const own = isParted ? undefined : split === "val" ? located.validation : located.train;
  const source = (isParted ? located.train : own) ?? located.all;
  if (source === undefined)
    throw new DataError(options.dataPath ?? "", `${options.dataPath} has no ${split}/ folder`, {
      code: "data/no-part",
      hint: `Choose the other with --split ${split === "val" ? "train" : "val"}.`,
    });
  const named = await withModelsClasses(source, located, {
    model: model ?? (classes && { numClasses: classes.length, classes }),
    hasOwn: own !== undefined,
    onNote,
  });
  const dataset = await openNoted(named, onNote);
  const runs = [options.recorded ?? []].flat();
  const [run] = runs;
  if (run !== undefined) {
    const found = measuredByRecord(dataset, runs, { split, isWhole: own === undefined });
    for (const change of describeChanges(found.changes, run.run)) onNote?.(change);
    const replaced = await checkSamples(found.samples, run, { toTrain: false });
    if (replaced !== undefined) onNote?.(replaced);
    return found.dataset;
  }
  if (!isParted) return dataset;
  const part = split === "val" ? "validation" : "train";
  const take = { rule: "split", part, fraction: valSplit, seed } as const;
  return named === source ? takeSubset(dataset, take) : takeSplit(dataset, source, take);
}

/** Opens a dataset, and says what was assumed and what is left out. */
async function openNoted(source: DatasetSource, onNote: KnownTo["onNote"]): Promise<Dataset> {
  const dataset = await openDataset(source);
  if (onNote === undefined) return dataset;
  for (const note of dataset.notes ?? []) onNote(note);
  const left = (await dataset.leftOut?.()) ?? [];
  if (left.length > 0) onNote(`${placeOf(source)}: left out ${leftOutWords(left)}`);
  return dataset;
}

function placeOf(source: DatasetSource): string {
  return "path" in source ? source.path : "the dataset";
}

/**
 * One side of a split, the same images as in training, where classes had the numbers of the images' own names: a
 * model that numbers them otherwise would draw others, since every class is split by its number.
 */
async function takeSplit(
  dataset: Dataset,
  source: DatasetSource,
  take: Extract<Selection, { rule: "split" }>,
): Promise<Dataset> {
  // images that training could not open have no split of its making
  const own = await openDataset(source, { memory: dataset.memory }).catch(() => dataset);
  const names = (images: Dataset): string[] =>
    Array.from({ length: images.length }, (_, index) => images.describe(index));
  const all = names(dataset);
  if (own.labels.every((label, i) => label === dataset.labels[i]) && names(own).join() === all.join())
    return takeSubset(dataset, take);
  const wanted = new Set(names(takeSubset(own, take)));
  const indices = [...all.keys()].filter((index) => wanted.has(all[index] ?? ""));
  return takeSubset(dataset, { rule: "indices", indices });
}

/** A source whose classes are those of the model; else of the training images, where these are there to see. */
async function withModelsClasses(
  source: DatasetSource,
  { train }: Located,
  { model: known, onNote, hasOwn }: KnownTo & { hasOwn: boolean },
): Promise<DatasetSource> {
  if (known === undefined) {
    const trained =
      hasOwn && train && train.kind !== "cifar" ? (await openDataset(train)).classes : undefined;
    return trained ? withClasses(source, trained) : source;
  }
  const found = await namesIn(source);
  if (found === undefined) {
    const own = known.classes && onNote && (await namesOfNumbers(source));
    if (own !== undefined && !(isImageNet(known) && isImageNet({ numClasses: own.length, classes: own }))) {
      const differing = differingNames(own, known.classes ?? []);
      if (differing !== undefined)
        onNote?.(
          `the images' classes have other names than the model's: they are taken by index (${differing})`,
        );
    }
    const names = known.classes ?? (await imageNetNamesFor(source, known));
    return names ? withClasses(source, names) : source;
  }
  // a validation folder may lack classes that the training folder has
  const all = known.classes === undefined && hasOwn && train ? ((await namesIn(train)) ?? found) : found;
  const keys = classKeys(all, known, { path: "path" in source ? source.path : "" });
  if (keys === undefined) return withClasses(source, all);
  if (keys.note !== undefined) onNote?.(keys.note);
  return source.kind === "folder" || source.kind === "csv"
    ? { ...source, keys: keys.keys, classes: keys.classes }
    : source;
}

/** What classes are called in a folder or a CSV file, before anything is known of them; undefined for other sources. */
async function namesIn(source: DatasetSource): Promise<readonly string[] | undefined> {
  if (source.kind === "folder") return filledFolders(source);
  return source.kind === "csv" ? (await openDataset(source)).classes : undefined;
}

/** What images whose labels are numbers call these, where they do. */
async function namesOfNumbers(source: DatasetSource): Promise<readonly string[] | undefined> {
  switch (source.kind) {
    case "cifar":
      return source.name === "cifar10" ? CIFAR10_CLASSES : CIFAR100_CLASSES;
    case "labels-csv":
      return readClassNames(source.path);
    case "parquet":
      return parquetClassNames(source);
    default:
      return undefined;
  }
}

/** ImageNet's own images say by their names what the numbers of a list are. */
async function imageNetNamesFor(
  source: DatasetSource,
  model: KnownClasses,
): Promise<readonly string[] | undefined> {
  if (source.kind !== "labels-csv" || !isImageNet(model)) return undefined;
  const dataset = await openDataset(source);
  return /ILSVRC2012_val_\d{8}/.test(dataset.describe(0)) ? imageNetNames() : undefined;
}

async function locate(options: Pick<DataOptions, "dataPath" | "dataSet" | "recorded">): Promise<Located> {
  const [recorded] = [options.recorded ?? []].flat();
  return locateNamed(options).catch((error: unknown) => {
    if (recorded !== undefined && error instanceof DataError && error.code === "data/not-found")
      throw imagesGone(recorded.run, options.dataPath ?? "");
    throw error;
  });
}

async function locateNamed({
  dataPath = null,
  dataSet = "auto",
}: Pick<DataOptions, "dataPath" | "dataSet">): Promise<Located> {
  if (dataPath === null) {
    if (dataSet === "cifar10" || dataSet === "cifar100") return locateDataset(await pulledDataset(dataSet));
    throw new ConfigError("dataPath", "no images were given", {
      code: "options/missing",
      hint: "Give a folder with --data-path, or --data-set cifar10.",
    });
  }
  if (dataPath.startsWith(MEMORY)) {
    throw new DataError(
      dataPath,
      `the images of ${dataPath.slice(MEMORY.length)} were given by code, not as a folder`,
      {
        code: "data/in-memory",
        hint: "Give them again: resume(RUN, { images }). The command line needs them as files: --data-path FOLDER.",
      },
    );
  }
  if (dataSet === "folder" || dataSet === "auto")
    return locateDataset(dataPath, { asClasses: dataSet === "folder" });
  const located = await locateDataset(dataPath);
  if (located.train?.kind === "cifar" && located.train.name === dataSet) return located;
  // DeiT's --data-path is the folder into which torchvision downloads
  throw new DataError(dataPath, `${dataPath} does not hold ${dataSet}`, {
    code: "data/other-dataset",
    hint: `Leave --data-path out to use the cache folder ${cacheFolder()} (deit data pull ${dataSet}).`,
  });
}

function withClasses(source: DatasetSource, classes: readonly string[]): DatasetSource {
  return source.kind === "cifar" ||
    source.kind === "subset" ||
    source.kind === "files" ||
    source.kind === "memory"
    ? source
    : { ...source, classes };
}
