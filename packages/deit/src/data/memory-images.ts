/** Images in memory as a dataset: those that a page was given, or that a program made. */
import type { RgbImage } from "../augmentation/rgb-image.ts";
import { DataError } from "../errors.ts";
import type { Dataset } from "./dataset.ts";

/** Cannot be opened again elsewhere: its loader makes batches in the thread that has the images. */
export interface MemorySource {
  readonly kind: "memory";
  readonly name: string;
}

export interface MemoryImage {
  /** For messages. */
  readonly name: string;
  /** Index of its class. */
  readonly label: number;
  /** The decoded image, or how to decode it when it is asked for. @throws DataError when it is broken */
  readonly image: RgbImage | (() => Promise<RgbImage>);
}

export interface MemoryImages {
  /** What messages call the dataset. */
  readonly name: string;
  /** Display names by index. */
  readonly classes: readonly string[];
  readonly images: readonly MemoryImage[];
}

/** @throws DataError for a label that is not a class */
export function imagesInMemory({ name, classes, images }: MemoryImages): Dataset {
  const wrong = images.find(({ label }) => !(label in classes));
  if (wrong !== undefined) {
    throw new DataError(
      name,
      `the label of ${wrong.name} is ${wrong.label}, and there are ${classes.length} classes`,
      {
        code: "data/bad-label",
        hint: "Labels are indices of classes, from 0.",
      },
    );
  }
  const at = (index: number): MemoryImage => {
    const found = images[index];
    if (found === undefined) throw new RangeError(`image ${index} of ${images.length}`);
    return found;
  };
  return {
    name,
    length: images.length,
    classes,
    labels: Int32Array.from(images, ({ label }) => label),
    source: { kind: "memory", name },
    decodes: false,
    async read(index) {
      const { image } = at(index);
      return typeof image === "function" ? image() : image;
    },
    describe: (index) => at(index).name,
  };
}
