/**
 * The images of a run as they were when it began: which part each went to. What is opened later is parted by that, not
 * drawn again, so that no image changes sides; what is new, missing or changed is said.
 */
import { DataError } from "../errors.ts";
import type { Dataset } from "./dataset.ts";
import { takeSubset } from "./subset.ts";
import type { ChangedImages, ImageChanges } from "./image-changes.ts";
import { NO_CHANGES } from "./image-changes.ts";
import { shellWord } from "../printable.ts";

/** Where an image went; "unused": not sampled by --num-train. */
export type ImagePart = "train" | "validation" | "unused";

export interface RecordedImages {
  /** The run, for messages. */
  readonly run: string;
  readonly classes: readonly string[];
  /** Validation images are a folder or file of their own, not split off. */
  readonly ownValidation: boolean;
  /** By {@link scoped} key; undefined in runs that kept no list. */
  readonly images: ReadonlyMap<string, RecordedImage> | undefined;
  /** Hashes of some images. */
  readonly samples: readonly ImageSample[];
}

export interface RecordedImage {
  readonly part: ImagePart;
  readonly label: number;
}

/** SHA-256 of an image's file, by scoped key. */
export interface ImageSample {
  readonly key: string;
  readonly sha256: string;
}

/** A sampled image that is still there. */
export interface FoundSample extends ImageSample {
  readonly dataset: Dataset;
  readonly index: number;
}

/** What training opens. `whole`: the images that `train` was taken from, and `validation`, too, unless that has its own. */
export interface PartedImages {
  readonly whole: Dataset;
  readonly train: Dataset;
  readonly validation: Dataset | undefined;
  readonly automaticSplit: boolean;
}

/** A key that no other image of the dataset has: its place below the dataset's root. [length] */
export function imageKeys({ length, describe }: Pick<Dataset, "length" | "describe">): string[] {
  const names = Array.from({ length }, (_, index) => describe(index).replaceAll("\\", "/"));
  if (new Set(names).size === length) return names;
  const times = new Map<string, number>();
  return names.map((name) => {
    const before = times.get(name) ?? 0;
    times.set(name, before + 1);
    return before === 0 ? name : `${name}#${before + 1}`;
  });
}

/** The keys of the images of each part. Those of a subset are the keys that its images have in the whole. */
export function partKeys({
  whole,
  train,
  validation,
  automaticSplit,
}: PartedImages): Readonly<Record<"whole" | "train" | "validation", readonly string[]>> {
  const keys = imageKeys(whole);
  const places = whole.indices && new Map([...whole.indices].map((index, place) => [index, place]));
  const within = ({ indices }: Dataset): readonly string[] =>
    indices === undefined ? keys : Array.from(indices, (index) => keys[places?.get(index) ?? index] ?? "");
  const own = validation && (automaticSplit ? within(validation) : imageKeys(validation));
  return { whole: keys, train: train === whole ? keys : within(train), validation: own ?? [] };
}

/** Keys of validation images with a source of their own may be those of training images, too. */
export function scoped(key: string, part: ImagePart, { ownValidation }: { ownValidation: boolean }): string {
  return ownValidation ? `${part === "validation" ? "validation" : "train"}:${key}` : key;
}

/**
 * The images of a run as its record has them.
 * @throws DataError for other classes, or when most of the images are gone
 */
export function partByRecord(
  opened: PartedImages,
  recorded: RecordedImages,
): PartedImages & { readonly changes: ImageChanges; readonly samples: readonly FoundSample[] } {
  checkClasses(opened.whole, recorded);
  if (recorded.images === undefined) return { ...opened, changes: NO_CHANGES, samples: [] };
  const pools: Pool[] = [
    { dataset: opened.whole, part: opened.automaticSplit ? undefined : "train" },
    ...(opened.automaticSplit || opened.validation === undefined
      ? []
      : [{ dataset: opened.validation, part: "validation" } as const]),
  ];
  const { parts, changes, samples } = compare(pools, recorded);
  checkGone(opened.whole, recorded, changes);
  const [whole] = parts;
  const own = parts[1] ?? whole;
  if (whole === undefined || own === undefined) return { ...opened, changes, samples };
  const take = (dataset: Dataset, indices: readonly number[], is: Dataset): Dataset =>
    isSame(is, dataset, indices) ? is : takeSubset(dataset, { rule: "indices", indices });
  const validation = own === whole ? opened.whole : opened.validation;
  const hasValidation = [...recorded.images.values()].some(({ part }) => part === "validation");
  if (whole.train.length === 0 || (hasValidation && own.validation.length === 0)) {
    const gone = whole.train.length === 0 ? "trained on" : "held out";
    throw otherImages(opened.whole.name, recorded, `none of the images that it ${gone} is there`);
  }
  return {
    ...opened,
    train: take(opened.whole, whole.train, opened.train),
    validation:
      validation && hasValidation
        ? take(validation, own.validation, opened.validation ?? validation)
        : undefined,
    changes,
    samples,
  };
}

/**
 * Of images to measure with, those that all of the runs held out (or trained on, as `split` says).
 * @throws DataError when there are none
 */
export function measuredByRecord(
  dataset: Dataset,
  runs: readonly RecordedImages[],
  { split, isWhole }: { split: "val" | "train"; isWhole: boolean },
): { readonly dataset: Dataset; readonly changes: ImageChanges; readonly samples: readonly FoundSample[] } {
  const part = split === "val" ? "validation" : "train";
  const pool: Pool = { dataset, part: isWhole ? undefined : part };
  const found = runs
    .filter(({ images }) => images !== undefined)
    .map((recorded) => compare([pool], recorded, isWhole ? undefined : part));
  const [first, ...others] = found;
  if (first === undefined) return { dataset, changes: NO_CHANGES, samples: [] };
  const taken = ({ parts: [only] }: typeof first): readonly number[] => only?.[part] ?? [];
  const sets = others.map((other) => new Set(taken(other)));
  const indices = taken(first).filter((index) => sets.every((set) => set.has(index)));
  if (indices.length === 0) {
    const which = split === "val" ? "held out" : "trained on";
    const names = runs.map(({ run }) => run).join(", ");
    throw new DataError(dataset.name, `${dataset.name} has none of the images that ${names} ${which}`, {
      code: "run/other-images",
      hint: "Put the images back, or measure on others: --data-path OTHERS (all of these: --val-split 0).",
    });
  }
  const subset = isSame(dataset, dataset, indices)
    ? dataset
    : takeSubset(dataset, { rule: "indices", indices });
  return { dataset: subset, changes: first.changes, samples: first.samples };
}

/** Images of one source; `part`: the part that all of them belong to, unless they are to be parted. */
interface Pool {
  readonly dataset: Dataset;
  readonly part: ImagePart | undefined;
}

type Parts = Readonly<Record<ImagePart, readonly number[]>>;

const NAMED = 3;
/** @param only look for missing images of this part alone */
function compare(
  pools: readonly Pool[],
  recorded: RecordedImages,
  only?: ImagePart,
): {
  readonly parts: readonly Parts[];
  readonly changes: ImageChanges;
  readonly samples: readonly FoundSample[];
} {
  const images = recorded.images ?? new Map<string, RecordedImage>();
  const hashes = new Map(recorded.samples.map(({ key, sha256 }) => [key, sha256]));
  const samples: FoundSample[] = [];
  const seen = new Set<string>();
  const relabelled: string[] = [];
  const moved: string[] = [];
  const unknown: { readonly key: string; readonly index: number; readonly pool: number }[] = [];
  const parts = pools.map(({ dataset, part }, pool) => {
    const own: Record<ImagePart, number[]> = { train: [], validation: [], unused: [] };
    for (const [index, key] of imageKeys(dataset).entries()) {
      const scope = scoped(key, part ?? "train", recorded);
      const found = images.get(scope);
      if (found === undefined) {
        unknown.push({ key, index, pool });
        continue;
      }
      seen.add(scope);
      const sha256 = hashes.get(scope);
      if (sha256 !== undefined) samples.push({ dataset, index, key, sha256 });
      if (part !== undefined && found.part !== part && found.part !== "unused") {
        moved.push(key); // from a split folder to the other: it is on neither side now
        continue;
      }
      own[found.part].push(index);
      if (dataset.labels[index] !== found.label && sameClasses(dataset.classes, recorded.classes))
        relabelled.push(key);
    }
    return own;
  });
  const missing = [...images].flatMap(([key, { part }]) =>
    seen.has(key) || part === "unused" || (only !== undefined && part !== only) ? [] : [key],
  );
  // What is missing in one place and new in another under the same file name was moved.
  const gone = byFileName(missing, (key) => key);
  const come = byFileName(unknown, ({ key }) => key);
  const isMoved = new Set<string>();
  const added = unknown.filter(({ key, index, pool }) => {
    const before = gone.get(fileName(key));
    if (before === undefined || come.get(fileName(key)) === undefined) return true;
    isMoved.add(before);
    moved.push(`${plain(before, recorded)} → ${key}`);
    const { part = "unused" } = images.get(before) ?? {};
    if (pools[pool]?.part === undefined || pools[pool].part === part) parts[pool]?.[part].push(index);
    return false;
  });
  for (const own of parts) for (const list of Object.values(own)) list.sort((a, b) => a - b);
  const listed = (names: readonly string[]): ChangedImages => ({
    count: names.length,
    names: names.slice(0, NAMED),
  });
  return {
    parts,
    samples,
    changes: {
      added: listed(added.map(({ key }) => key)),
      missing: listed(missing.filter((key) => !isMoved.has(key)).map((key) => plain(key, recorded))),
      moved: listed(moved),
      relabelled: listed(relabelled),
    },
  };
}

/** Those whose file name no other has. */
function byFileName<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T | undefined> {
  const found = new Map<string, T | undefined>();
  for (const item of items) {
    const name = fileName(keyOf(item));
    found.set(name, found.has(name) ? undefined : item);
  }
  return found;
}

function fileName(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1);
}

/** A key without its scope. */
function plain(key: string, { ownValidation }: RecordedImages): string {
  return ownValidation ? key.slice(key.indexOf(":") + 1) : key;
}

/** Whether `is` consists of these images of `dataset`. */
function isSame(is: Dataset, dataset: Dataset, indices: readonly number[]): boolean {
  if (is.length !== indices.length) return false;
  if (is === dataset) return true; // all of them
  const whole = dataset.indices;
  return indices.every((index, i) => is.indices?.[i] === (whole === undefined ? index : whole[index]));
}

function sameClasses(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i]);
}

/** @throws DataError that names the classes which differ */
function checkClasses({ name, classes }: Dataset, recorded: RecordedImages): void {
  const then = recorded.classes;
  if (sameClasses(classes, then)) return;
  const listed = (names: readonly string[]): string =>
    names.slice(0, 5).join(", ") + (names.length > 5 ? `, and ${names.length - 5} more` : "");
  const added = classes.filter((other) => !then.includes(other));
  const gone = then.filter((other) => !classes.includes(other));
  const swapped = then.findIndex((other, i) => other !== classes[i]);
  const differences = [
    gone.length > 0 && `gone: ${listed(gone)}`,
    added.length > 0 && `new: ${listed(added)}`,
    gone.length + added.length === 0 &&
      `they come in another order: class ${swapped} was ${then[swapped]}, and is ${classes[swapped]} now`,
  ].filter((text) => text !== false);
  throw new DataError(
    name,
    `${name} has other classes than ${recorded.run} began with (${differences.join("; ")})`,
    {
      code: "run/other-classes",
      hint: `Put the classes back as they were, or start a new run from these weights: deit finetune IMAGES --finetune ${shellWord(recorded.run)} --output-dir NEW`,
    },
  );
}

/** @throws DataError when what is there is not what the run was made with */
function checkGone({ name }: Dataset, recorded: RecordedImages, { missing }: ImageChanges): void {
  const count = { train: 0, validation: 0, unused: 0 };
  for (const { part } of recorded.images?.values() ?? []) count[part]++;
  const all = count.train + count.validation;
  if (2 * missing.count <= all) return;
  throw otherImages(
    name,
    recorded,
    `${missing.count.toLocaleString("en-US")} of its ${all.toLocaleString("en-US")} images are not there (${missing.names.join(", ")}, …)`,
  );
}

/** What a run is refused with whose images are no longer in their place. */
export function imagesGone(
  run: string,
  place: string,
  hint = `Put them back, or give their new folder: deit train ${run} --data-path PLACE`,
): DataError {
  return new DataError(place, `the images of ${run} are no longer at ${place}`, {
    code: "run/no-images",
    hint,
  });
}

/** What a dataset is refused with that is not the run's. */
export function otherImages(name: string, { run }: RecordedImages, why: string): DataError {
  return new DataError(name, `${name} is not the dataset that ${run} began with: ${why}`, {
    code: "run/other-images",
    hint: `Put the images back, or start a new run from these weights: deit finetune IMAGES --finetune ${shellWord(run)} --output-dir NEW`,
  });
}
