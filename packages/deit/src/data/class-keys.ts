/**
 * Which folder (or label of a CSV file) is which of a model's classes: by name; by WordNet's ids, as ImageNet's folders
 * are called, whatever part of its classes is there; by number, as ImageNet-V2's are. And what is said of classes. Pure.
 */
import { plainName } from "../class-names.ts";
import { DataError } from "../errors.ts";
import type { Dataset } from "./dataset.ts";
import { list } from "./image-names.ts";
import { imageNetClasses } from "./imagenet-classes.ts";

/** A model's classes. */
export interface KnownClasses {
  readonly numClasses: number;
  /** By index; undefined where the model does not say. */
  readonly classes: readonly string[] | undefined;
}

export interface ClassKeys {
  /** What each class is called on disk, by index: folders of these names, some of which may be missing. */
  readonly keys: readonly string[];
  /** Display names by index. */
  readonly classes: readonly string[];
  /** What the user should know. */
  readonly note?: string;
}

/**
 * The classes of images for a model; undefined when the names as they are, sorted, are the classes.
 * @param found names of folders, or of labels
 * @throws DataError when they are some of the classes of a model that does not name them
 */
export function classKeys(
  found: readonly string[],
  model: KnownClasses,
  { path }: { path: string },
): ClassKeys | undefined {
  const byName = model.classes && namesOnDisk(found, model.classes);
  if (byName !== undefined && model.classes !== undefined) return { keys: byName, classes: model.classes };
  const wnids = imageNetClasses().map(({ wnid }) => wnid);
  if (isImageNet(model) && found.every((name) => wnids.includes(name)))
    return { keys: wnids, classes: model.classes ?? imageNetNames() };
  const numbers = found.map((name) => (/^\d+$/.test(name) ? Number(name) : Number.NaN));
  if (new Set(numbers).size === found.length && numbers.every((number) => number < model.numClasses)) {
    const keys = Array.from({ length: model.numClasses }, (_, i) => found[numbers.indexOf(i)] ?? String(i));
    const classes = model.classes ?? (isImageNet(model) ? imageNetNames() : keys);
    const sorted = numbers.every((number, i) => number === i);
    return {
      keys,
      classes,
      ...(!sorted && {
        note: `the folders of ${path} have numbers as names: they are used as class indices, as in ImageNet-V2, not sorted alphabetically`,
      }),
    };
  }
  if (model.classes !== undefined) return { keys: model.classes, classes: model.classes }; // what is unknown is told by name
  if (found.length >= model.numClasses) return undefined;
  throw new DataError(
    path,
    `${path} has ${found.length} classes, the model ${model.numClasses}, and the model does not name its classes: they cannot be matched`,
    {
      code: "data/unknown-class",
      hint: "Name the folders by class index (0, 1, …), or, for ImageNet, by WordNet id.",
    },
  );
}

/** Names of ImageNet's classes by index. */
export function imageNetNames(): string[] {
  return imageNetClasses().map(({ name }) => name);
}

/** Whether a model answers with ImageNet's classes in their order, as far as can be seen. */
export function isImageNet({ numClasses, classes }: KnownClasses): boolean {
  const known = imageNetClasses();
  if (numClasses !== known.length) return false;
  if (classes === undefined) return true;
  const agreeing = known.filter(({ wnid, name }, i) => {
    const given = classes[i] ?? "";
    return given === wnid || firstName(given) === firstName(name);
  });
  return agreeing.length > 0.9 * known.length; // spellings of some differ
}

/** The key of each class where all that was found is known by name, spelling aside. */
function namesOnDisk(found: readonly string[], classes: readonly string[]): string[] | undefined {
  const exact = new Set(classes);
  if (found.every((name) => exact.has(name))) return [...classes];
  const spelt = new Map(found.map((name) => [plainName(name), name]));
  const known = new Set(classes.map(plainName));
  if (spelt.size < found.length || known.size < classes.length) return undefined; // two alike
  if (!found.every((name) => known.has(plainName(name)))) return undefined;
  return classes.map((name) => spelt.get(plainName(name)) ?? name);
}

function firstName(name: string): string {
  return plainName(name.split(",")[0] ?? name);
}

/** Classes of which no image is measured. */
export function classNotes({
  whole,
  validation,
}: Record<"whole" | "validation", Pick<Dataset, "classes" | "labels">>): string[] {
  const measured = new Set(validation.labels);
  const present = new Set(whole.labels);
  const missing = whole.classes.filter((_, label) => present.has(label) && !measured.has(label));
  if (missing.length === 0) return [];
  return [`${missing.length} of ${present.size} classes have no validation images (${list(missing)})`];
}

/** Classes that differ in case, blanks or the encoding of letters alone: most likely one that is written in two ways. */
export function alikeClasses(classes: readonly string[]): string[] {
  const byPlain = Map.groupBy(classes, (name) =>
    name
      .normalize("NFKC")
      .toLowerCase()
      .replaceAll(/[\s_-]+/g, " ")
      .trim(),
  );
  const alike = [...byPlain.values()].filter(({ length }) => length > 1);
  if (alike.length === 0) return [];
  return [
    `these class names differ only slightly and count as different classes: ${alike
      .slice(0, 3)
      .map(
        (names) =>
          names.join(" and ") +
          (new Set(names.map((name) => name.normalize())).size < names.length
            ? " (the same letters in two encodings)"
            : ""),
      )
      .join("; ")}`,
  ];
}
