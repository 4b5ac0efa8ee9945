/** What a check of a dataset finds, and what it proposes to do about it. Pure. */
import type { RgbImage } from "../augmentation/rgb-image.ts";
import type { BrokenImage } from "../data/read-each.ts";
import type { Looked } from "./look.ts";

/** An image that was looked at. */
export interface CheckedImage {
  /** As its dataset calls it. */
  readonly name: string;
  readonly part: "train" | "val";
  /** −1 for an image without a class. */
  readonly label: number;
  readonly className: string;
  read(): Promise<RgbImage>;
}

/** In the order in which they are shown. */
export const PROBLEM_KINDS = ["broken", "copy", "near-copy", "label", "blurred", "tiny", "empty"] as const;
export type ProblemKind = (typeof PROBLEM_KINDS)[number];

/** What to do: a copy can go at once, a label or a blurred image should be looked at first. */
export type Action = "remove" | "review";

export interface ImageProblem {
  readonly kind: ProblemKind;
  readonly image: CheckedImage;
  /** In words, for people. */
  readonly detail: string;
  /** What the kind is judged by; larger is surer. */
  readonly score: number;
  readonly action: Action;
  /** Of a label that is likely wrong. */
  readonly suggestedClass?: string | undefined;
  /** Of a copy: the image that stays. */
  readonly other?: CheckedImage | undefined;
}

export interface DataCheck {
  readonly dataset: string;
  /** What compared the images; null where nothing did. */
  readonly model: string | null;
  readonly images: number;
  readonly parts: readonly { readonly part: "train" | "val"; readonly images: number }[];
  readonly classes: readonly { readonly name: string; readonly images: number }[];
  /** Labels that were judged by held-out answers, and those that agree; null without a model. */
  readonly labels: { readonly judged: number; readonly agreeing: number } | null;
  /** By kind, the surest of each first. */
  readonly problems: readonly ImageProblem[];
}

/** `blurOf` from which an image is called blurred: docs/decisions/0027. */
const BLURRED = 0.5;
/** A shorter side below this part of the median of all is tiny, and so is one below `FEW_PIXELS` among larger ones. */
const SMALL_PART = 0.25;
const FEW_PIXELS = 64;
/** Standard deviation of grey values below which there is nothing in an image. */
const EMPTY = 4;

/** What can be said of each image by itself. */
export function oneImageProblems(
  images: readonly CheckedImage[],
  looked: readonly (Looked | BrokenImage)[],
): ImageProblem[] {
  const sides = looked.flatMap((look) => ("problem" in look ? [] : [Math.min(look.width, look.height)]));
  const median = sides.toSorted((a, b) => a - b)[sides.length >> 1] ?? 0;
  const smallest = Math.max(SMALL_PART * median, Math.min(FEW_PIXELS, median / 2));
  return images.flatMap((image, place): ImageProblem[] => {
    const look = looked[place];
    if (look === undefined) return [];
    if ("problem" in look)
      return [{ kind: "broken", image, detail: look.problem, score: 1, action: "remove" }];
    const { width, height, blur, contrast } = look;
    const found = (kind: ProblemKind, detail: string, score: number): ImageProblem => ({
      kind,
      image,
      detail,
      score,
      action: "review",
    });
    const side = Math.min(width, height);
    return [
      ...(contrast < EMPTY ? [found("empty", "almost one colour", 1 - contrast / EMPTY)] : []),
      ...(side < smallest
        ? [found("tiny", `${width} × ${height} pixels; the median side is ${median}`, 1 - side / median)]
        : []),
      ...(blur !== undefined && blur >= BLURRED && contrast >= EMPTY
        ? [found("blurred", `blur ${blur.toFixed(2)} of 1`, blur)]
        : []),
    ];
  });
}

export function labelProblem(
  image: CheckedImage,
  { suggested, probability, own }: { suggested: string; probability: number; own: number },
): ImageProblem {
  return {
    kind: "label",
    image,
    suggestedClass: suggested,
    detail: `more like ${suggested} (${percent(probability)}) than ${image.className} (${percent(own)})`,
    score: probability / (probability + own),
    action: "review",
  };
}

export function sortProblems(problems: readonly ImageProblem[]): ImageProblem[] {
  return problems.toSorted(
    (a, b) => PROBLEM_KINDS.indexOf(a.kind) - PROBLEM_KINDS.indexOf(b.kind) || b.score - a.score,
  );
}

function percent(share: number): string {
  return share < 0.001 ? "below 0.1 %" : `${(100 * share).toFixed(1)} %`;
}

/** `34 to 34 images a class`: how even the classes are. */
export function balanceLine({ classes }: Pick<DataCheck, "classes">): string | undefined {
  const counts = classes.map(({ images }) => images);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  if (classes.length === 0) return undefined;
  if (least === most) return `${least} images of every class`;
  const [smallest, largest] = [least, most].map(
    (n) => classes.find(({ images }) => images === n)?.name ?? "",
  );
  const times = least === 0 ? "" : `, ${(most / least).toFixed(1)} times as many`;
  return `${least} (${smallest}) to ${most} images (${largest}) of a class${times}`;
}

/** How often held-out predictions agree with the labels; undefined where none were made. */
export function labelsLine({ labels }: Pick<DataCheck, "labels">): string | undefined {
  if (labels === null || labels.judged === 0) return undefined;
  const share = (100 * labels.agreeing) / labels.judged;
  return `held-out predictions agree with ${labels.agreeing.toLocaleString("en-US")} of ${labels.judged.toLocaleString("en-US")} labels (${share.toFixed(1)} %)`;
}

/** A check as JSON. Other tools read it: add keys, never rename these. */
export function checkDocument({ problems, ...check }: DataCheck): Record<string, unknown> {
  const place = ({ part, name, className }: CheckedImage): Record<string, string> => ({
    part,
    image: name,
    class: className,
  });
  return {
    ...check,
    problems: problems.map(({ kind, action, image, other, detail, score, suggestedClass }) => ({
      problem: kind,
      action,
      ...place(image),
      ...(suggestedClass !== undefined && { suggestedClass }),
      ...(other !== undefined && { other: place(other) }),
      score,
      detail,
    })),
  };
}
