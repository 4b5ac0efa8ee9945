/** Images that a program has, with the classes that it knows them by, as a dataset. */
import type { Dataset } from "../data/dataset.ts";
import { imagesInMemory } from "../data/memory-images.ts";
import { DataError } from "../errors.ts";
import type { ImageInput } from "../evaluation/image-input.ts";
import { readImage } from "../evaluation/image-input.ts";

export interface LabelledImage {
  /** A path, an address, bytes of an image file, a Blob, raw pixels, or a function that gives one of them when it is needed. */
  readonly image: ImageInput | (() => ImageInput | Promise<ImageInput>);
  /** Its class: a name, or an index from 0. */
  readonly label: string | number;
  /** What messages and the record of a run call it; default its path or address, else its number. */
  readonly name?: string | undefined;
}

/** A dataset, or labelled images: an array, or an iterable or async iterable, which is read to its end once. */
export type LabelledImages = Dataset | Iterable<LabelledImage> | AsyncIterable<LabelledImage>;

export interface CreateDatasetOptions {
  /** What messages call it, and a run folder without `outputDir`. Default: "images". */
  readonly name?: string | undefined;
  /** Names by index. Default: the names that occur, sorted; of indices their numbers. */
  readonly classes?: readonly string[] | undefined;
}

/**
 * Labelled images as a dataset. Images are decoded when they are used, each time, so that a dataset takes the memory of
 * what it was given.
 *
 *     const cats = await createDataset([{ image: "a.jpg", label: "cat" }, { image: bytes, label: "dog" }]);
 *
 * @throws DataError for no images, fewer than two classes, or a label that is none of `classes`
 */
export async function createDataset(
  images: LabelledImages,
  { name = "images", classes: known }: CreateDatasetOptions = {},
): Promise<Dataset> {
  if ("read" in images) return images;
  const list: LabelledImage[] = [];
  for await (const image of images) list.push(checked(image, { name, at: list.length }));
  if (list.length === 0)
    throw new DataError(name, `${name}: there are no images`, { code: "data/no-images" });
  const classes = known ?? classesOf(list, name);
  const indices = new Map(classes.map((label, index) => [label, index]));
  return imagesInMemory({
    name,
    classes,
    images: list.map(({ image, label, name: given }, at) => {
      const called = given ?? nameOf(image) ?? `image ${at}`;
      const index = typeof label === "number" ? label : indices.get(label);
      if (index === undefined) {
        throw new DataError(name, `${called} is labelled ${JSON.stringify(label)}, which is not a class`, {
          code: "data/unknown-class",
          hint: `Classes are ${classes.slice(0, 10).join(", ")}${classes.length > 10 ? ", …" : ""}.`,
        });
      }
      const read = async (): Promise<ImageInput> => (typeof image === "function" ? image() : image);
      return { name: called, label: index, image: async () => readImage(await read()) };
    }),
  });
}

/** @throws DataError for what is not a labelled image */
function checked(image: LabelledImage, { name, at }: { name: string; at: number }): LabelledImage {
  const given: Partial<LabelledImage> | null | undefined = image;
  const { label } = given ?? {};
  const isLabel = typeof label === "string" || Number.isInteger(label);
  if (given?.image !== undefined && isLabel) return image;
  throw new DataError(name, `${name}: item ${at} is not a labelled image`, {
    code: "data/bad-row",
    hint: 'Expected { image, label }: a path, a URL, bytes, a Blob or raw pixels, and a class by name or index, such as { image: "cat.jpg", label: "cat" }.',
  });
}

/** @throws DataError for names and indices in one list, or one class */
function classesOf(list: readonly LabelledImage[], name: string): readonly string[] {
  const numbers = list.flatMap(({ label }) => (typeof label === "number" ? [label] : []));
  const names = [...new Set(list.flatMap(({ label }) => (typeof label === "string" ? [label] : [])))];
  if (numbers.length > 0 && names.length > 0) {
    throw new DataError(name, `${name}: some labels are names and some are indices`, {
      code: "data/bad-label",
      hint: "Use one kind, or pass the class names: classes: [...].",
    });
  }
  const most = numbers.reduce((most, label) => Math.max(most, label), -1);
  const classes = names.length > 0 ? names.toSorted() : Array.from({ length: most + 1 }, (_, i) => String(i));
  if (classes.length > 1) return classes;
  throw new DataError(name, `${name}: all images are of one class`, {
    code: "data/one-class",
    hint: "A classifier needs images of at least two classes.",
  });
}

function nameOf(image: LabelledImage["image"]): string | undefined {
  if (image instanceof URL) return image.href;
  return typeof image === "string" && !image.startsWith("data:") ? image : undefined;
}
