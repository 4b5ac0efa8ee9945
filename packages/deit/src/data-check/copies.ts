/** Copies among images: files that are the same byte for byte, and the same photo cropped, scaled, mirrored or compressed again. Pure. */
import type { BrokenImage } from "../data/read-each.ts";
import type { Looked } from "./look.ts";
import { matchOf, SAME_PHOTO } from "./near-copies.ts";
import type { Match } from "./near-copies.ts";
import { groupsOf, nearestPairs } from "./neighbours.ts";
import type { CheckedImage, ImageProblem } from "./problems.ts";

/** What a model sees in images. */
export interface CheckFeatures {
  readonly model: string;
  readonly width: number;
  /** The features of an image [width], by its place among all; none for one that cannot be read. */
  readonly rows: ReadonlyMap<number, Float32Array>;
}

/** Places a and b among all images. */
export interface CopyPair {
  readonly a: number;
  readonly b: number;
  /** Undefined for the same file. */
  readonly match: Match | undefined;
}

/** Cosine of centred features from which two images are compared pixel by pixel. */
const ALIKE = 0.4;

/** Without features: exact copies alone. */
export function findCopies(
  looked: readonly (Looked | BrokenImage)[],
  features: CheckFeatures | undefined,
): CopyPair[] {
  const first = new Map<string, number>();
  const pairs: CopyPair[] = [];
  const isCopy = new Set<number>();
  for (const [place, look] of looked.entries()) {
    const hash = "hash" in look ? look.hash : undefined;
    if (hash === undefined) continue;
    const known = first.get(hash);
    if (known === undefined) first.set(hash, place);
    else {
      pairs.push({ a: known, b: place, match: undefined });
      isCopy.add(place);
    }
  }
  if (features === undefined) return pairs;
  const places = [...features.rows.keys()].filter((place) => !isCopy.has(place)).toSorted((a, b) => a - b);
  const data = new Float32Array(places.length * features.width);
  for (const [row, place] of places.entries()) data.set(features.rows.get(place) ?? [], row * features.width);
  for (const { a: rowA, b: rowB } of nearestPairs(data, features.width, ALIKE)) {
    const [a, b] = [places[rowA] ?? 0, places[rowB] ?? 0];
    const [one, other] = [looked[a], looked[b]];
    if (one === undefined || other === undefined || "problem" in one || "problem" in other) continue;
    const match = matchOf(one.thumbnail, other.thumbnail);
    if (match.similarity >= SAME_PHOTO) pairs.push({ a, b, match });
  }
  return pairs;
}

/**
 * A problem for every image but one of each group of copies. The one that stays is for validation where any is (what is
 * trained on must not be measured with), and the largest of these.
 */
export function copyProblems(
  pairs: readonly CopyPair[],
  { images, looked }: { images: readonly CheckedImage[]; looked: readonly (Looked | BrokenImage)[] },
): ImageProblem[] {
  const groups = Map.groupBy(groupsOf(images.length, pairs).entries(), ([, group]) => group);
  return [...groups.values()].flatMap((group) => {
    if (group.length === 1) return [];
    const members = group.map(([place]) => place).toSorted((a, b) => rank(b) - rank(a) || a - b);
    const [kept = 0, ...others] = members;
    return others.flatMap((place): ImageProblem[] => {
      const [image, other] = [images[place], images[kept]];
      if (image === undefined || other === undefined) return [];
      return [
        copyProblem(
          { image, other },
          pairs.filter(({ a, b }) => a === place || b === place),
        ),
      ];
    });
  });

  function rank(place: number): number {
    const look = looked[place];
    const pixels = look === undefined || "problem" in look ? 0 : look.width * look.height;
    return pixels + (images[place]?.part === "val" ? Number.MAX_SAFE_INTEGER / 2 : 0);
  }
}

function copyProblem(
  { image, other }: { image: CheckedImage; other: CheckedImage },
  own: readonly CopyPair[],
): ImageProblem {
  const matches = own.flatMap(({ match }) => match ?? []);
  const isExact = matches.length < own.length;
  const [match] = matches.toSorted((a, b) => b.similarity - a.similarity);
  const where = [
    image.part !== other.part && "one is for training, the other for validation",
    image.label !== other.label && `their classes differ: ${image.className} and ${other.className}`,
  ].filter((note) => note !== false);
  const what =
    isExact || match === undefined
      ? "the same file"
      : `the same photo${match.mirrored ? ", mirrored" : ""}${match.overlap < 0.95 ? `; both show ${Math.round(100 * match.overlap)} % of the larger view` : ""}`;
  return {
    kind: isExact ? "copy" : "near-copy",
    image,
    other,
    detail: [what, ...where].join("; "),
    score: isExact ? 1 : (match?.similarity ?? 0),
    action: image.label === other.label ? "remove" : "review", // which of two labels is right, no copy says
  };
}
