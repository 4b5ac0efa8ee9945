/** Every image of a dataset read once, a few at a time: for checks, which list what cannot be read and go on. */
import { createHash } from "node:crypto";
import type { RgbImage } from "../augmentation/rgb-image.ts";
import { DataError, firstLine } from "../errors.ts";
import type { Dataset } from "./dataset.ts";

export interface ReadImage {
  readonly image: RgbImage;
  /** SHA-256 of the file; undefined where images are not files. */
  readonly hash: string | undefined;
}

export interface BrokenImage {
  readonly problem: string;
}

/** Images that a check looks at in a dataset: of a larger one, so many spread over it. */
const MOST = 20_000;
const IN_FLIGHT = 4;

/** The places in a dataset of so many images that a check looks at. */
export function spreadOver(length: number): number[] {
  const count = Math.min(length, MOST);
  return Array.from({ length: count }, (_, i) => Math.floor((i * length) / count));
}

/** What `look` makes of the image at each of these places, in their order. */
export async function readEach<T>(
  dataset: Dataset,
  indices: readonly number[],
  look: (read: ReadImage) => T,
  { onImage = () => {}, signal }: { onImage?: () => void; signal?: AbortSignal | undefined } = {},
): Promise<(T | BrokenImage)[]> {
  const found: (T | BrokenImage)[] = [];
  const places = indices.entries();
  const work = async (): Promise<void> => {
    for (const [place, index] of places) {
      signal?.throwIfAborted();
      found[place] = await readOne(dataset, index, look);
      onImage();
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return found;
}

async function readOne<T>(
  dataset: Dataset,
  index: number,
  look: (read: ReadImage) => T,
): Promise<T | BrokenImage> {
  try {
    const bytes = await dataset.encoded?.(index);
    const image = await dataset.read(index);
    return look({ image, hash: bytes && createHash("sha256").update(bytes).digest("hex") });
  } catch (error) {
    const isOfFile = error instanceof Error && "syscall" in error;
    if (error instanceof DataError || isOfFile) return { problem: firstLine(error) };
    throw error;
  }
}
