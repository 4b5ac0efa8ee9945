/**
 * Panels of named points, one logarithmic axis across: what figures of throughput are made of. Points of one model are
 * joined, the Pareto front is dashed, names stand where they cover nothing.
 */
import type { TopLevelSpec } from "vega-lite";
import type { Figure } from "../../figures/draw.ts";
import type { SizeBy } from "./size-by.ts";
import type { Palette } from "../../figures/palette.ts";
import { placeLabels } from "../../figures/place-labels.ts";
import { paretoFront } from "./pareto.ts";

type Layered = Extract<TopLevelSpec, { layer: unknown }>;
type Layer = Layered["layer"][number];

/** A model in a panel. */
export interface Point {
  readonly label: string;
  readonly family: string;
  readonly x: number;
  readonly y: number;
  /** What its area stands for; null: not known, and it is drawn as a ring. */
  readonly size: number | null;
  /** Points of one model at several sizes are joined. */
  readonly model: string;
}

export interface Panel {
  readonly title: string;
  readonly points: readonly Point[];
  readonly xTitle: string;
  readonly yTitle: string;
  /** Which way along x is better, for the front; undefined: neither, and both axes are logarithmic. */
  readonly better: "more" | "less" | undefined;
}

const WIDTH = 460;
const HEIGHT = 380;
const FONT_SIZE = 11;
/** Area of the largest point, as Vega counts it: its box. */
const LARGEST = 1100;
const SMALLEST = 30;
/** Of a ring. */
const UNKNOWN = 130;

/** In the order of their colours. */
const FAMILIES = ["DeiT", "RegNetY", "DeiT distilled", "ResNet", "EfficientNet", "ViT", "ONNX"] as const;

export function scatterFigure(panels: readonly Panel[], sizeBy: SizeBy): Figure | undefined {
  if (panels.length === 0) return undefined;
  const points = panels.flatMap((panel) => panel.points);
  const families = FAMILIES.filter((family) => points.some((point) => point.family === family));
  const largest = Math.max(0, ...points.map(({ size }) => size ?? 0));
  const laidOut = panels.map((panel) => layOut(panel, largest)); // once for all themes
  return (palette) => ({
    spacing: 48,
    columns: 2,
    concat: laidOut.map((panel) => panelSpec(panel, { palette, families, largest, sizeBy })),
    resolve: { scale: { color: "shared", size: "shared" } },
  });
}

/** All ticks that are given: Vega halves those above a count, and its own format leaves out labels of a logarithmic axis. */
const LOG_LABELS = { labelExpr: "format(datum.value, '~r')", labelOverlap: false, tickCount: 50 } as const;

/** A domain with some room around the values; a logarithmic one by factors. */
function domainOf(values: readonly number[], log: boolean): [low: number, high: number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (!log) {
    const room = Math.max(0.5, (high - low) * 0.09);
    return [low - room, high + room];
  }
  const factor = Math.max(1.2, (high / low) ** 0.12);
  return [low / factor, high * factor];
}

/** Times the powers of ten, from coarse to fine. */
const STEPS = [
  [1, 2, 5],
  [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9],
  [1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 8, 8.5, 9, 9.5],
] as const;

/** 1, 2 and 5 times the powers of ten in a domain; of a wide one the powers alone, of a narrow one more than these. */
export function logTicks([low, high]: readonly [number, number]): number[] {
  const from = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - from + 1 }, (_, i) => 10 ** (from + i));
  const ticksAt = (steps: readonly number[]): number[] =>
    powers.flatMap((power) => steps.map((step) => step * power)).filter((x) => x >= low && x <= high);
  if (high / low > 2000) return ticksAt([1]);
  const [coarse, fine, finest] = STEPS;
  return [coarse, fine].map(ticksAt).find((ticks) => ticks.length >= 3) ?? ticksAt(finest);
}

/** Three sizes of one or two digits. */
function legendValues(largest: number): number[] {
  return [0.1, 0.4, 1].map((part) => Number((part * largest).toPrecision(part === 1 ? 2 : 1)));
}

/** A panel with its axes, and its names where they cover nothing; all in the values of the axes. */
interface LaidOut {
  readonly panel: Panel;
  readonly domains: Readonly<Record<"x" | "y", [low: number, high: number]>>;
  readonly front: readonly Point[];
  readonly names: readonly {
    readonly label: string;
    readonly anchor: string;
    readonly x: number;
    readonly y: number;
  }[];
  readonly leaders: readonly Readonly<Record<"x" | "y" | "x2" | "y2", number>>[];
}

function layOut(panel: Panel, largest: number): LaidOut {
  const { points, better } = panel;
  const work = better === undefined;
  const domains = {
    x: domainOf(
      points.map(({ x }) => x),
      true,
    ),
    y: domainOf(
      points.map(({ y }) => y),
      work,
    ),
  };
  const scale = {
    x: axisScale(domains.x, { length: WIDTH, log: true }),
    y: axisScale(domains.y, { length: HEIGHT, log: work, down: true }),
  };
  const areaOf = (size: number | null): number =>
    size === null ? UNKNOWN : SMALLEST + ((LARGEST - SMALLEST) * size) / largest;
  const front = better === undefined ? [] : paretoFront(points, { better });
  const frontLine = front.map(({ x, y }) => [scale.x.pixel(x), scale.y.pixel(y)] as const);
  const placed = placeLabels(
    points.map(({ x, y, size, label }) => ({
      x: scale.x.pixel(x),
      y: scale.y.pixel(y),
      radius: Math.sqrt(areaOf(size)) / 2,
      label,
    })),
    { width: WIDTH, height: HEIGHT, fontSize: FONT_SIZE, lines: [frontLine] },
  );
  const names = placed.map(({ x, y, anchor, label }) => ({
    label,
    anchor,
    x: scale.x.value(x),
    y: scale.y.value(y),
  }));
  const leaders = placed.flatMap(({ leader }) =>
    leader === undefined
      ? []
      : [
          {
            x: scale.x.value(leader[0][0]),
            y: scale.y.value(leader[0][1]),
            x2: scale.x.value(leader[1][0]),
            y2: scale.y.value(leader[1][1]),
          },
        ],
  );
  return { panel, domains, front, names, leaders };
}

function panelSpec(
  { panel: { title, points, xTitle, yTitle, better }, domains, front, names, leaders }: LaidOut,
  {
    palette,
    families,
    largest,
    sizeBy,
  }: {
    palette: Palette;
    families: readonly string[];
    largest: number;
    sizeBy: SizeBy;
  },
): Omit<Layered, "$schema" | "background" | "config" | "padding" | "autosize" | "usermeta"> {
  const work = better === undefined;
  const x = {
    field: "x",
    type: "quantitative",
    scale: { type: "log", domain: domains.x, nice: false },
    axis: {
      values: logTicks(domains.x),
      ...LOG_LABELS,
      title: xTitle,
    },
  } as const;
  const y = {
    field: "y",
    type: "quantitative",
    scale: { type: work ? "log" : "linear", domain: domains.y, nice: false },
    axis: { title: yTitle, ...(work && { values: logTicks(domains.y), ...LOG_LABELS }) },
  } as const;
  const colour = {
    field: "family",
    type: "nominal",
    scale: { domain: [...families], range: families.map((family) => colourOf(family, palette)) },
    legend: { title: null, symbolOpacity: 1 },
  } as const;
  const sizes = {
    field: "size",
    type: "quantitative",
    scale: { domain: [0, largest], range: [SMALLEST, LARGEST] },
    legend: {
      title: sizeBy === "parameters" ? "million parameters" : "MiB, one image",
      values: legendValues(largest),
      symbolFillColor: palette.muted,
      symbolStrokeWidth: 0,
    },
  } as const;
  const frontLayer: Layer = {
    data: { values: [...front] },
    mark: { type: "line", strokeDash: [5, 4], strokeWidth: 1.2, color: palette.muted },
    encoding: { x, y, order: { field: "x", type: "quantitative" } },
  };
  const sameModel: Layer = {
    data: { values: [...points] },
    mark: { type: "line", strokeWidth: 1, opacity: 0.5 },
    encoding: { x, y, detail: { field: "model", type: "nominal" }, color: colour },
  };
  const leaderLines: Layer = {
    data: { values: [...leaders] },
    mark: { type: "rule", strokeWidth: 0.7, color: palette.muted },
    encoding: { x, y, x2: { field: "x2" }, y2: { field: "y2" } },
  };
  const sized = points.filter(({ size }) => size !== null);
  const marks: Layer = {
    data: { values: sized },
    mark: { type: "circle", opacity: 0.8, stroke: palette.surface, strokeWidth: 1 },
    encoding: { x, y, size: sizes, color: colour },
  };
  const rings: Layer = {
    data: { values: points.filter(({ size }) => size === null) },
    mark: { type: "point", size: UNKNOWN, filled: false, strokeWidth: 1.6 },
    encoding: { x, y, color: colour },
  };
  const texts = (["start", "middle", "end"] as const).map((anchor): Layer => ({
    data: { values: names.filter((name) => name.anchor === anchor) },
    mark: {
      type: "text",
      align: ({ start: "left", middle: "center", end: "right" } as const)[anchor],
      baseline: "middle",
      fontSize: FONT_SIZE,
      color: palette.ink,
    },
    encoding: { x, y, text: { field: "label" } },
  }));
  return {
    title,
    width: WIDTH,
    height: HEIGHT,
    layer: [frontLayer, sameModel, leaderLines, ...(sized.length > 0 ? [marks] : []), rings, ...texts],
  };
}

/** The same colour in every figure. */
function colourOf(family: string, { series }: Palette): string {
  return series[FAMILIES.findIndex((known) => known === family) % series.length] ?? "";
}

/** Between values and pixels, as Vega does it. */
function axisScale(
  [low, high]: readonly [number, number],
  { length, log, down = false }: { length: number; log: boolean; down?: boolean },
): { pixel: (value: number) => number; value: (pixel: number) => number } {
  const to = log ? Math.log : (x: number): number => x;
  const from = log ? Math.exp : (x: number): number => x;
  const [a, b] = [to(low), to(high)];
  return {
    pixel: (value) => ((down ? b - to(value) : to(value) - a) / (b - a)) * length,
    value: (pixel) => from(down ? b - (pixel / length) * (b - a) : a + (pixel / length) * (b - a)),
  };
}
