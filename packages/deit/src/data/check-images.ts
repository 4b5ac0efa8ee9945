/** Looks at every image of datasets once: which cannot be read, and which are exact copies of others. */
import type { Dataset } from "./dataset.ts";
import { readEach, spreadOver } from "./read-each.ts";

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

/** @param parts datasets by the names of their parts */
export async function checkImages(
  parts: Readonly<Record<string, Dataset | undefined>>,
  {
    onProgress = () => {},
    signal,
  }: { onProgress?: (done: number, total: number) => void; signal?: AbortSignal | undefined } = {},
): Promise<ImageCheck> {
  const named = Object.entries(parts).flatMap(([part, dataset]) =>
    dataset ? [{ part, dataset, indices: spreadOver(dataset.length) }] : [],
  );
  const total = named.reduce((sum, { indices }) => sum + indices.length, 0);
  const broken: ImageProblem[] = [];
  const byHash = new Map<string, { image: string; part: string; label: number }[]>();
  let checked = 0;
  const onImage = (): void => onProgress(++checked, total);
  for (const { part, dataset, indices } of named) {
    const found = await readEach(dataset, indices, ({ hash }) => ({ hash }), { onImage, signal });
    for (const [place, index] of indices.entries()) {
      const look = found[place] ?? { hash: undefined };
      const image = `${part}: ${dataset.describe(index)}`;
      if ("problem" in look) broken.push({ image, problem: look.problem });
      else if (look.hash !== undefined) {
        const same = byHash.get(look.hash) ?? [];
        same.push({ image, part, label: dataset.labels[index] ?? -1 });
        byHash.set(look.hash, same);
      }
    }
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

/** A problem without the name of its image, where that stands beside it. */
export function problemWords({ image, problem }: ImageProblem): string {
  const name = image.slice(image.indexOf(": ") + 2);
  const at = problem.indexOf(name);
  return at < 0 ? problem : problem.slice(at + name.length).replace(/^[\s:,]+/, "");
}

/** A line for each kind of problem; none for none. `named`: broken images that are named below theirs. */
export function checkLines({ broken, copies }: ImageCheck, { named = 0 }: { named?: number } = {}): string[] {
  const extra = copies.reduce((sum, { images }) => sum + images.length - 1, 0);
  const across = copies.filter(({ acrossParts }) => acrossParts).length;
  const otherwise = copies.filter(({ acrossClasses }) => acrossClasses).length;
  const first = copies.find(({ acrossParts, acrossClasses }) => acrossParts || acrossClasses) ?? copies[0];
  const lines: string[] = [];
  if (broken.length > 0)
    lines.push(
      `${broken.length} ${broken.length === 1 ? "image" : "images"} cannot be read`,
      ...broken.slice(0, named).map((one) => `  ${one.image}: ${problemWords(one)}`),
      ...(named > 0 && broken.length > named
        ? [`  and ${broken.length - named} more; --json has them all`]
        : []),
    );
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
