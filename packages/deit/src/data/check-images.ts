/** Looks at every image of datasets once: which cannot be read, and which are exact copies of others. */
import { createHash } from "node:crypto";
import { DataError, firstLine } from "../errors.ts";
import type { Dataset } from "./dataset.ts";

export interface ImageProblem {
  readonly image: string;
  readonly problem: string;
}

/** Images whose files are the same, byte for byte. */
export interface Copies {
  /** As the dataset names them, with the part in front: "train/cat/1.jpg". */
  readonly images: readonly string[];
  /** Some are for training, others for validation: what is measured has been trained on. */
  readonly acrossParts: boolean;
  /** Their classes differ: one is wrong. */
  readonly acrossClasses: boolean;
}

export interface ImageCheck {
  /** Images that were looked at. */
  readonly checked: number;
  readonly broken: readonly ImageProblem[];
  readonly copies: readonly Copies[];
}

/** Images that are looked at of each dataset: of a larger one, so many spread over it. */
const MAX_CHECKED = 20_000;
const IN_FLIGHT = 4;

/** @param parts datasets by the names of their parts */
export async function checkImages(
  parts: Readonly<Record<string, Dataset | undefined>>,
  {
    onProgress = () => {},
    signal,
  }: { onProgress?: (done: number, total: number) => void; signal?: AbortSignal | undefined } = {},
): Promise<ImageCheck> {
  const named = Object.entries(parts).flatMap(([part, dataset]) => (dataset ? [{ part, dataset }] : []));
  const total = named.reduce((sum, { dataset }) => sum + Math.min(dataset.length, MAX_CHECKED), 0);
  const broken: ImageProblem[] = [];
  const byHash = new Map<string, { image: string; part: string; label: number }[]>();
  let checked = 0;
  for (const { part, dataset } of named) {
    const indices = spread(dataset.length);
    const look = async (): Promise<void> => {
      for (let next = indices.next(); next.done !== true; next = indices.next()) {
        signal?.throwIfAborted();
        const index = next.value;
        const image = `${part}: ${dataset.describe(index)}`;
        try {
          const bytes = await dataset.encoded?.(index);
          await dataset.read(index);
          if (bytes !== undefined) {
            const hash = createHash("sha256").update(bytes).digest("base64");
            const same = byHash.get(hash) ?? [];
            same.push({ image, part, label: dataset.labels[index] ?? -1 });
            byHash.set(hash, same);
          }
        } catch (error) {
          if (!(error instanceof DataError) && !isOfFile(error)) throw error;
          broken.push({ image, problem: firstLine(error) });
        }
        onProgress(++checked, total);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, look));
  }
  return {
    checked,
    broken: broken.toSorted((a, b) => (a.image < b.image ? -1 : 1)),
    copies: [...byHash.values()]
      .filter((same) => same.length > 1)
      .map((same) => ({
        images: same.map(({ image }) => image).toSorted(),
        acrossParts: new Set(same.map(({ part }) => part)).size > 1,
        acrossClasses: new Set(same.map(({ label }) => label)).size > 1,
      })),
  };
}

/** A line for each kind of problem; none for none. */
export function checkLines({ broken, copies }: ImageCheck): string[] {
  const extra = copies.reduce((sum, { images }) => sum + images.length - 1, 0);
  const across = copies.filter(({ acrossParts }) => acrossParts).length;
  const otherwise = copies.filter(({ acrossClasses }) => acrossClasses).length;
  const first = copies.find(({ acrossParts, acrossClasses }) => acrossParts || acrossClasses) ?? copies[0];
  const lines: string[] = [];
  if (broken.length > 0)
    lines.push(`${broken.length} ${broken.length === 1 ? "image" : "images"} cannot be read`);
  if (first !== undefined) {
    const where = [
      ...(across > 0 ? [`${across} of them in training and validation both`] : []),
      ...(otherwise > 0 ? [`${otherwise} of them in several classes`] : []),
    ];
    lines.push(
      `${extra} ${extra === 1 ? "image is an exact copy of another" : "images are exact copies of others"}${where.length > 0 ? ` (${where.join(", ")})` : ""}: ${first.images.slice(0, 3).join(" = ")}`,
    );
  }
  return lines;
}

function* spread(length: number): Generator<number> {
  const count = Math.min(length, MAX_CHECKED);
  for (let i = 0; i < count; i++) yield Math.floor((i * length) / count);
}

function isOfFile(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}
