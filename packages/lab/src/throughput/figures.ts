/** The images of a table of throughput: accuracy against speed as in the paper's Figure 1, against memory; speed against work. */
import type { Chart } from "deit-ts/charts";
import { TABLE_5 } from "./paper-tables.ts";
import type { ThroughputResult } from "./measure.ts";
import { scatterFigure } from "./scatter.ts";
import type { Panel, Point } from "./scatter.ts";
import type { SizeBy } from "./size-by.ts";

interface AccuracyOptions {
  /** The paper's numbers, too. */
  readonly paper?: boolean;
  readonly sizeBy?: SizeBy;
  readonly evaluateOn?: string | undefined;
}

const ON_IMAGENET = "top-1 on ImageNet, %";

/**
 * Accuracy against speed: measured here on the given images, and with `paper` the paper's own numbers, and its accuracies at
 * the speed of this machine. Each has a panel: the machines differ, and so may the images. Undefined when there is nothing.
 */
export function accuracyFigure(
  rows: readonly ThroughputResult[],
  { paper = false, sizeBy = "parameters", evaluateOn }: AccuracyOptions = {},
): Chart | undefined {
  const axes = { xTitle: "images a second", yTitle: ON_IMAGENET, better: "more" } as const;
  const pointOf = (row: ThroughputResult, y: number): Point =>
    rowPoint(row, { x: row.imagesPerSecond, y, sizeBy });
  const panels: Panel[] = [
    { ...axes, title: "measured here", points: measured(rows, pointOf), yTitle: accuracyTitle(evaluateOn) },
  ];
  if (paper) {
    const there = TABLE_5.map(({ name, family, imagesPerSecond: x, imagenet: y, parameters }): Point => ({
      label: plain(name),
      family: plain(family),
      x,
      y,
      size: sizeBy === "parameters" ? parameters : null,
      model: name,
    }));
    const title = sizeBy === "parameters" ? "the paper, V100" : "the paper, V100 (it gives no memory)";
    panels.push({ ...axes, title, points: there });
    panels.push({
      ...axes,
      title: "the paper's accuracy, the speed here",
      points: asInThePaper(rows, pointOf),
    });
  }
  return scatterFigure(
    panels.filter(({ points }) => points.length > 0),
    sizeBy,
  );
}

/**
 * Accuracy against the memory of a batch: measured here, and with `paper` the paper's accuracies; memory it does not give.
 * Undefined when there is nothing.
 */
export function memoryFigure(
  rows: readonly ThroughputResult[],
  { paper = false, sizeBy = "parameters", evaluateOn }: AccuracyOptions = {},
): Chart | undefined {
  const pointOf = (row: ThroughputResult, y: number): Point =>
    rowPoint(row, { x: row.batchMemoryMiB, y, sizeBy });
  const axes = { xTitle: `memory of ${batchesOf(rows)}, MiB`, better: "less" } as const;
  const panels: Panel[] = [
    { ...axes, title: "measured here", points: measured(rows, pointOf), yTitle: accuracyTitle(evaluateOn) },
    {
      ...axes,
      title: "the paper's accuracy, the memory here",
      points: paper ? asInThePaper(rows, pointOf) : [],
      yTitle: ON_IMAGENET,
    },
  ];
  return scatterFigure(
    panels.filter(({ points }) => points.length > 0),
    sizeBy,
  );
}

/** `a batch of 16`, `batches of 16 to 64` */
export function batchesOf(rows: readonly Pick<ThroughputResult, "batchSize">[]): string {
  const sizes = rows.map(({ batchSize }) => batchSize);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  return least === most ? `a batch of ${least}` : `batches of ${least} to ${most}`;
}

type PointOf = (row: ThroughputResult, accuracy: number) => Point;

function measured(rows: readonly ThroughputResult[], pointOf: PointOf): Point[] {
  return rows.flatMap((row) => (row.acc1 === null ? [] : [pointOf(row, row.acc1)]));
}

/** Rows of models that are in Table 5, with its accuracy. */
function asInThePaper(rows: readonly ThroughputResult[], pointOf: PointOf): Point[] {
  return rows.flatMap((row) => {
    const known = TABLE_5.find(
      ({ registered, size }) => registered === row.given && size === row.inputSize[0],
    );
    return known === undefined ? [] : [pointOf(row, known.imagenet)];
  });
}

function accuracyTitle(evaluateOn: string | undefined): string {
  return `top-1${evaluateOn === undefined ? "" : ` on ${evaluateOn}`}, %`;
}

/** Speed against multiply-accumulates, for models with and without weights. Undefined when fewer than two have them. */
export function workFigure(
  rows: readonly ThroughputResult[],
  sizeBy: SizeBy = "parameters",
): Chart | undefined {
  const points = rows.flatMap((row): Point[] => {
    if (row.macs === null) return [];
    return [rowPoint(row, { x: row.macs / 1e9, y: row.imagesPerSecond, sizeBy })];
  });
  if (points.length < 2) return undefined;
  const [xTitle, yTitle] = ["multiply-accumulates, billions", "images a second"];
  return scatterFigure([{ title: "speed by work", points, xTitle, yTitle, better: undefined }], sizeBy);
}

function rowPoint(row: ThroughputResult, { x, y, sizeBy }: { x: number; y: number; sizeBy: SizeBy }): Point {
  const { name, family, parameters, memoryMiB } = row;
  return {
    label: shortName(row),
    family: plain(family),
    x,
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
