/**
 * Panels of named points, one logarithmic axis across: what figures of throughput are made of. Points of one model are
 * joined, the Pareto front is dashed, names stand where they cover nothing.
 */
import {
  colour,
  dots,
  line,
  logAxis,
  numberAxis,
  placeLabels,
  seriesColour,
  shape,
  text,
} from "deit-ts/charts";
import type { Chart, KeyEntry, Mark, Panel as ChartPanel } from "deit-ts/charts";
import { paretoFront } from "./pareto.ts";
import type { SizeBy } from "./size-by.ts";

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
/** Radii of the largest point, of one of no size, and of a ring. */
const [LARGEST, SMALLEST, UNKNOWN] = [16, 2.7, 5.7];

/** In the order of their colours. */
const FAMILIES = ["DeiT", "RegNetY", "DeiT distilled", "ResNet", "EfficientNet", "ViT", "ONNX"] as const;

export function scatterFigure(panels: readonly Panel[], sizeBy: SizeBy): Chart | undefined {
  if (panels.length === 0) return undefined;
  const points = panels.flatMap((panel) => panel.points);
  const largest = Math.max(0, ...points.map(({ size }) => size ?? 0));
  const radiusOf = ({ size }: Pick<Point, "size">): number =>
    size === null ? UNKNOWN : Math.sqrt(SMALLEST ** 2 + ((LARGEST ** 2 - SMALLEST ** 2) * size) / largest);
  const families: KeyEntry[] = FAMILIES.filter((family) =>
    points.some((point) => point.family === family),
  ).map((family) => ({ label: family, colour: colourOf(family) }));
  const unit = sizeBy === "parameters" ? "million parameters" : "MiB, one image";
  const sizes: KeyEntry[] = (largest > 0 ? legendValues(largest) : []).map((size) => ({
    label: `${size} ${unit}`,
    colour: colour("muted"),
    radius: radiusOf({ size }),
  }));
  return {
    description: panels.map(({ title, xTitle, yTitle }) => `${title}: ${yTitle} by ${xTitle}`).join("; "),
    key: [...families, ...sizes],
    columns: 2,
    panels: panels.map((panel) => panelOf(panel, radiusOf)),
  };
}

/** Three sizes of one or two digits. */
function legendValues(largest: number): number[] {
  return [0.1, 0.4, 1].map((part) => Number((part * largest).toPrecision(part === 1 ? 2 : 1)));
}

function panelOf(
  { title, points, xTitle, yTitle, better }: Panel,
  radiusOf: (point: Pick<Point, "size">) => number,
): ChartPanel {
  const front = better === undefined ? [] : paretoFront(points, { better });
  const named = points.map((point) => ({ ...point, title: `${point.label}: ${point.y} at ${point.x}` }));
  const ys = points.map(({ y }) => y);
  const room = Math.max(0.5, (Math.max(...ys) - Math.min(...ys)) * 0.09);
  return {
    title,
    width: WIDTH,
    height: HEIGHT,
    x: logAxis(
      points.map(({ x }) => x),
      { title: xTitle },
    ),
    y:
      better === undefined
        ? logAxis(ys, { title: yTitle })
        : numberAxis([], { title: yTitle, domain: [Math.min(...ys) - room, Math.max(...ys) + room] }),
    marks: [
      line(front, { colour: colour("muted"), width: 1.2, dash: "5 4" }),
      ...[...Map.groupBy(points, ({ model }) => model).values()].map((own) =>
        line(own, { colour: colourOf(own[0]?.family), width: 1, opacity: 0.5 }),
      ),
      ...[...Map.groupBy(named, ({ family, size }) => `${family} ${size === null}`).values()].map((own) =>
        dots(own, {
          colour: colourOf(own[0]?.family),
          opacity: 0.8,
          radius: (_, i) => radiusOf(own[i] ?? { size: 0 }),
          ...(own[0]?.size === null ? { hollow: true } : { edge: colour("surface") }),
        }),
      ),
      names(points, { front, radiusOf }),
    ],
  };
}

/** Names beside their points, and lines to those that stand away. */
function names(
  points: readonly Point[],
  { front, radiusOf }: { front: readonly Point[]; radiusOf: (point: Point) => number },
): Mark {
  return ({ x, y }) => {
    const [left, top] = [x.from, y.to];
    const placed = placeLabels(
      points.map((point) => ({
        x: x.at(point.x) - left,
        y: y.at(point.y) - top,
        radius: radiusOf(point),
        label: point.label,
      })),
      {
        width: x.to - left,
        height: y.from - top,
        fontSize: FONT_SIZE,
        lines: [front.map((point) => [x.at(point.x) - left, y.at(point.y) - top] as const)],
      },
    );
    return placed.flatMap(({ label, anchor, leader, ...place }) => [
      ...(leader === undefined
        ? []
        : [
            shape("line", {
              x1: left + leader[0][0],
              y1: top + leader[0][1],
              x2: left + leader[1][0],
              y2: top + leader[1][1],
              stroke: colour("muted"),
              "stroke-width": 0.7,
            }),
          ]),
      text(label, {
        x: left + place.x,
        y: top + place.y + FONT_SIZE * 0.36,
        size: FONT_SIZE,
        anchor,
      }),
    ]);
  };
}

/** The same colour in every figure. */
function colourOf(family: string | undefined): string {
  return seriesColour(FAMILIES.findIndex((known) => known === family));
}
