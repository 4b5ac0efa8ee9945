/** The pictures of a table of throughput: accuracy against speed as in the paper's Figure 1, and speed against work. */
import type { Figure } from "../../figures/draw.ts";
import { TABLE_5 } from "../paper-tables.ts";
import type { ThroughputResult } from "./measure.ts";
import { scatterFigure } from "./scatter.ts";
import type { Panel, Point } from "./scatter.ts";
import type { SizeBy } from "./size-by.ts";

const PAPER_TITLE = "the paper, V100";

/**
 * Accuracy against speed: measured here on the given pictures, and with `paper` the paper's own numbers, and its accuracies at
 * the speed of this machine. Each has a panel: the machines differ, and so may the pictures. Undefined when there is nothing.
 */
export function accuracyFigure(
  rows: readonly ThroughputResult[],
  {
    paper = false,
    sizeBy = "parameters",
    pictures,
  }: { paper?: boolean; sizeBy?: SizeBy; pictures?: string | undefined } = {},
): Figure | undefined {
  const yTitle = "top-1 on ImageNet, %";
  const here = rows.flatMap((row): Point[] => (row.acc1 === null ? [] : [pointOf(row, row.acc1, sizeBy)]));
  const panels: Panel[] = [
    {
      title: "measured here",
      points: here,
      yTitle: `top-1${pictures === undefined ? "" : ` on ${pictures}`}, %`,
    },
  ];
  if (paper) {
    const there = TABLE_5.map(({ name, family, imagesPerSecond: x, imagenet: y, parameters }): Point => ({
      label: plain(name),
      family: plain(family),
      x,
      y,
      size: sizeBy === "parameters" ? parameters : 1,
      model: name,
    }));
    const both = rows.flatMap((row): Point[] => {
      const known = TABLE_5.find(
        ({ registered, size }) => registered === row.given && size === row.inputSize[0],
      );
      return known === undefined ? [] : [pointOf(row, known.imagenet, sizeBy)];
    });
    panels.push({ title: PAPER_TITLE, points: there, yTitle });
    panels.push({ title: "the paper's accuracy, the speed here", points: both, yTitle });
  }
  return scatterFigure(
    panels.filter(({ points }) => points.length > 0),
    sizeBy,
  );
}

/** Speed against multiply-accumulates, for models with and without weights. Undefined when fewer than two have them. */
export function workFigure(
  rows: readonly ThroughputResult[],
  sizeBy: SizeBy = "parameters",
): Figure | undefined {
  const points = rows.flatMap((row): Point[] => {
    if (row.macs === null) return [];
    return [{ ...pointOf(row, row.imagesPerSecond, sizeBy), x: row.macs / 1e9 }];
  });
  if (points.length < 2) return undefined;
  return scatterFigure([{ title: "speed by work", points, yTitle: "pictures a second", work: true }], sizeBy);
}

function pointOf(row: ThroughputResult, y: number, sizeBy: SizeBy): Point {
  const { name, family, imagesPerSecond, parameters, memoryMiB } = row;
  return {
    label: shortName(row),
    family: plain(family),
    x: imagesPerSecond,
    y,
    size: sizeBy === "parameters" ? parameters / 1e6 : memoryMiB,
    model: name,
  };
}

/** `deit_tiny_distilled_patch16_224` at 160 → `DeiT-Ti distilled 160` */
export function shortName({
  name,
  inputSize: [height, width],
}: Pick<ThroughputResult, "name" | "inputSize">): string {
  const shown = knownName(name) ?? name;
  return height === 224 && width === 224
    ? shown
    : `${shown} ${height === width ? height : `${height}×${width}`}`;
}

const VARIANTS: Readonly<Record<string, string>> = { tiny: "DeiT-Ti", small: "DeiT-S", base: "DeiT-B" };

/** As the papers write it; undefined for models that are in none. */
function knownName(name: string): string | undefined {
  const [, variant = "", distilled, more = ""] =
    /^deit_(tiny|small|base)(_distilled)?_patch16_\d+(.*)$/.exec(name) ?? [];
  if (variant in VARIANTS) return `${VARIANTS[variant]}${distilled ? " distilled" : ""}${more}`;
  const gigaflops = /^regnety_(\d{3})$/.exec(name)?.[1];
  return gigaflops === undefined ? undefined : `RegNetY-${Number(gigaflops) / 10}GF`;
}

/** Without signs that few fonts have. */
function plain(text: string): string {
  return text.replace("⚗", " distilled").replace("↑384", " 384");
}
