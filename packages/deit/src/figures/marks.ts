/** What is drawn in a panel of a chart: functions from values to SVG. */
import { area as areaPath, line as linePath } from "d3-shape";
import type { Placed } from "./axis.ts";
import type { Html } from "./html.ts";
import { shape } from "./shape.ts";
import type { Attributes } from "./shape.ts";
import { text } from "./text.ts";
import type { TextOptions } from "./text.ts";

export interface Plot {
  readonly x: Placed;
  readonly y: Placed;
}

export type Mark = (plot: Plot) => Html | readonly Html[];

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Shown where the pointer rests on it. */
  readonly title?: string | undefined;
}

export interface Style {
  readonly colour: string;
  /** Of lines. */
  readonly width?: number;
  readonly opacity?: number;
  /** Lengths of strokes and gaps: `4 4`. */
  readonly dash?: string;
}

/** Straight from point to point. */
export function line(points: readonly Point[], { colour, width = 2, opacity, dash }: Style): Mark {
  return ({ x, y }) => {
    const path = linePath<Point>(
      (point) => x.at(point.x),
      (point) => y.at(point.y),
    ).digits(2);
    return shape("path", {
      d: path(points) ?? "",
      fill: "none",
      stroke: colour,
      "stroke-width": width,
      "stroke-linejoin": "round",
      "stroke-linecap": dash === undefined ? "round" : undefined,
      "stroke-dasharray": dash,
      opacity,
    });
  };
}

export interface Span {
  readonly x: number;
  readonly low: number;
  readonly high: number;
}

/** What lies between two lines. */
export function area(spans: readonly Span[], { colour, opacity = 0.2 }: Style): Mark {
  return ({ x, y }) => {
    const path = areaPath<Span>(
      (span) => x.at(span.x),
      (span) => y.at(span.low),
      (span) => y.at(span.high),
    ).digits(2);
    return shape("path", { d: path(spans) ?? "", fill: colour, opacity });
  };
}

export interface DotStyle extends Pick<Style, "colour" | "opacity"> {
  readonly radius?: number | ((point: Point, index: number) => number);
  /** A ring around each, to tell it from what is below. */
  readonly edge?: string;
  /** Rings in place of dots. */
  readonly hollow?: boolean;
}

export function dots(
  points: readonly Point[],
  { colour, opacity, radius = 3, edge, hollow = false }: DotStyle,
): Mark {
  return ({ x, y }) =>
    points.map((point, i) =>
      shape(
        "circle",
        {
          cx: x.at(point.x),
          cy: y.at(point.y),
          r: typeof radius === "number" ? radius : radius(point, i),
          fill: hollow ? "none" : colour,
          stroke: hollow ? colour : edge,
          "stroke-width": hollow ? 1.6 : edge === undefined ? undefined : 1.5,
          opacity,
        },
        point.title !== undefined && shape("title", {}, point.title),
      ),
    );
}

/** From one point to another; ends that are left out are those of the panel. */
export interface Segment {
  readonly x?: number | readonly [from: number, to: number];
  readonly y?: number | readonly [from: number, to: number];
}

export function segments(lines: readonly Segment[], { colour, width = 2, opacity, dash }: Style): Mark {
  return ({ x, y }) => {
    const ends = (axis: Placed, where: Segment["x"]): readonly [number, number] =>
      where === undefined
        ? [axis.from, axis.to]
        : typeof where === "number"
          ? [axis.at(where), axis.at(where)]
          : [axis.at(where[0]), axis.at(where[1])];
    return lines.map((segment) => {
      const [[x1, x2], [y1, y2]] = [ends(x, segment.x), ends(y, segment.y)];
      return shape("line", {
        x1,
        y1,
        x2,
        y2,
        stroke: colour,
        "stroke-width": width,
        "stroke-dasharray": dash,
        opacity,
      });
    });
  };
}

/** Short upright strokes, of some pixels. */
export function strokes(points: readonly Point[], { colour, width = 1, opacity }: Style): Mark {
  const half = 5;
  return ({ x, y }) =>
    points.map((point) =>
      shape("line", {
        x1: x.at(point.x),
        y1: y.at(point.y) - half,
        x2: x.at(point.x),
        y2: y.at(point.y) + half,
        stroke: colour,
        "stroke-width": width,
        opacity,
      }),
    );
}

export interface Bar {
  readonly from: number;
  readonly to: number;
  readonly value: number;
  readonly title?: string | undefined;
}

/** Upright bars from 0, a pixel apart. */
export function bars(values: readonly Bar[], { colour, opacity }: Pick<Style, "colour" | "opacity">): Mark {
  return ({ x, y }) =>
    values.map(({ from, to, value, title }) =>
      shape(
        "rect",
        {
          ...box([x.at(from) + 0.5, x.at(to) - 0.5], [y.at(0), y.at(value)]),
          fill: colour,
          opacity,
        },
        title !== undefined && shape("title", {}, title),
      ),
    );
}

export interface Cell {
  /** Numbers of column and row. */
  readonly x: number;
  readonly y: number;
  /** How much of the colour, 0 to 1. */
  readonly share: number;
  readonly lines: readonly string[];
  readonly title?: string | undefined;
}

/** A heat map's cells: the more, the more of the colour; the lines stand in them, the first one larger. */
export function cells(
  values: readonly Cell[],
  { colour, size, gap = 1.5 }: { colour: string; size: number; gap?: number },
): Mark {
  return ({ x, y }) =>
    values.map(({ share, lines, title, ...place }) => {
      const [left, top] = [x.at(place.x) - x.band / 2, y.at(place.y) - y.band / 2];
      const rectangle: Attributes = {
        ...box([left + gap / 2, left + x.band - gap / 2], [top + gap / 2, top + y.band - gap / 2]),
        rx: 3,
        fill: colour,
        "fill-opacity": 0.05 + 0.95 * share,
      };
      const ink = share > 0.55 ? "var(--on-fill)" : "var(--ink)";
      const words = lines.map((line, i) =>
        text(line, {
          x: x.at(place.x),
          y: y.at(place.y) + size * (0.36 + 1.15 * (i - (lines.length - 1) / 2)),
          size: i === 0 ? size : size * 0.8,
          bold: i === 0 && lines.length > 1,
          colour: ink,
          anchor: "middle",
        }),
      );
      return shape(
        "g",
        {},
        title !== undefined && shape("title", {}, title),
        shape("rect", rectangle),
        words,
      );
    });
}

export interface Label extends Point {
  readonly label: string;
  /** Pixels from the point. */
  readonly dx?: number;
  readonly dy?: number;
  readonly anchor?: TextOptions["anchor"];
}

export function labels(
  values: readonly Label[],
  { colour, size = 12 }: { colour: string; size?: number },
): Mark {
  return ({ x, y }) =>
    values.map(({ label, dx = 0, dy = 0, anchor = "middle", ...point }) =>
      text(label, { x: x.at(point.x) + dx, y: y.at(point.y) + dy, size, colour, anchor }),
    );
}

function box(
  [x1, x2]: readonly [number, number],
  [y1, y2]: readonly [number, number],
): Record<"x" | "y" | "width" | "height", number> {
  return { x: Math.min(x1, x2), y: Math.min(y1, y2), width: Math.abs(x2 - x1), height: Math.abs(y2 - y1) };
}
