/**
 * Charts as SVG: panels with axes, a key, a title. Text is text, and colours are the page's variables, so that one drawing
 * serves light and dark; as a file it brings both along (colours.ts). Sizes in CSS pixels.
 */
import { printable } from "../printable.ts";
import type { Axis, Placed, Tick } from "./axis.ts";
import { colour, standAlone } from "./colours.ts";
import type { Html } from "./html.ts";
import type { Mark, Plot } from "./marks.ts";
import { shape } from "./shape.ts";
import { fitText, FONTS, text, textWidth, wrapText } from "./text.ts";

export interface Panel {
  readonly title?: string;
  /** Of the plot, without what is written beside it. An axis of names knows its own length. */
  readonly width?: number;
  readonly height?: number;
  readonly x: Axis;
  readonly y: Axis;
  /** From the lowest to the uppermost. */
  readonly marks: readonly Mark[];
  /** Names along x stand above, turned where they are long. */
  readonly namesAbove?: boolean;
}

export interface KeyEntry {
  readonly label: string;
  readonly colour: string;
  /** Of a dot; a square where it is left out. */
  readonly radius?: number;
}

export interface Chart {
  /** What it shows, for those who do not see it. */
  readonly description: string;
  readonly title?: string | undefined;
  readonly subtitle?: string | undefined;
  readonly key?: readonly KeyEntry[];
  readonly panels: readonly Panel[];
  /** Panels beside each other. */
  readonly columns?: number;
}

const LABEL = 12;
const TITLE = 15;
/** Between panels, and around a chart that is a file. */
const [GAP, MARGIN] = [28, 16];
/** Longest name beside an axis. */
const NAME_LIMIT = 240;
const TURNED = -40;

interface Block {
  readonly width: number;
  readonly height: number;
  readonly content: (left: number, top: number) => readonly Html[];
}

/** For a page, whose colours and fonts it takes. */
export function drawChart(chart: Chart): string {
  return svgOf(chart, { margin: 2, isFile: false });
}

/** A file's content: light or dark as its reader's system is. */
export function chartFile(chart: Chart): string {
  return `${standAlone(svgOf(chart, { margin: MARGIN, isFile: true }))}\n`;
}

function svgOf(chart: Chart, { margin, isFile }: { margin: number; isFile: boolean }): string {
  const panels = gridOf(chart.panels.map(blockOf), chart.columns ?? 1);
  const blocks = [...headingOf(chart, panels.width), panels];
  const width = Math.ceil(Math.max(...blocks.map((block) => block.width)) + 2 * margin);
  let top = margin;
  const content = blocks.flatMap((block) => {
    const drawn = block.content(margin, top);
    top += block.height;
    return drawn;
  });
  const height = Math.ceil(top + margin);
  return printable(
    shape(
      "svg",
      {
        xmlns: "http://www.w3.org/2000/svg",
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        role: "img",
        "aria-label": chart.description,
        "font-family": isFile ? FONTS : undefined,
      },
      isFile && shape("rect", { width, height, fill: colour("surface") }),
      content,
    ).text,
  );
}

/** Title, subtitle and key, as wide as the panels. */
function headingOf({ title, subtitle, key = [] }: Chart, room: number): Block[] {
  const maxWidth = Math.max(room, 280);
  const words = (
    lines: readonly string[],
    letters: { size: number; bold?: boolean; colour: string },
  ): Block => ({
    width: Math.max(0, ...lines.map((line) => textWidth(line, letters))),
    height: lines.length * letters.size * 1.35 + 3,
    content: (x, top) =>
      lines.map((line, i) => text(line, { ...letters, x, y: top + letters.size * (1 + 1.35 * i) })),
  });
  const large = { size: TITLE, bold: true };
  const blocks: Block[] = [];
  if (title !== undefined)
    blocks.push(words(wrapText(title, { ...large, maxWidth }), { ...large, colour: colour("ink") }));
  if (subtitle !== undefined)
    blocks.push(
      words(wrapText(subtitle, { size: LABEL, maxWidth }), { size: LABEL, colour: colour("muted") }),
    );
  if (key.length > 0) blocks.push(keyOf(key, maxWidth));
  if (blocks.length > 0) blocks.push({ width: 0, height: 10, content: () => [] });
  return blocks;
}

function keyOf(entries: readonly KeyEntry[], maxWidth: number): Block {
  const swatch = Math.max(10, ...entries.map(({ radius = 0 }) => 2 * radius));
  const line = Math.max(20, swatch + 4);
  let [x, row] = [0, 0];
  const placed = entries.map((entry) => {
    const label = fitText(entry.label, { size: LABEL, maxWidth: maxWidth - swatch - 8 });
    const width = swatch + 6 + textWidth(label, { size: LABEL });
    if (x > 0 && x + width > maxWidth) [x, row] = [0, row + 1];
    const at = { ...entry, label, x, row };
    x += width + 16;
    return { ...at, end: at.x + width };
  });
  return {
    width: Math.max(...placed.map(({ end }) => end)),
    height: (row + 1) * line + 4,
    content: (left, top) =>
      placed.flatMap((entry) => {
        const middle = top + (entry.row + 0.5) * line + 2;
        const start = left + entry.x;
        return [
          entry.radius === undefined
            ? shape("rect", {
                x: start,
                y: middle - 5,
                width: 10,
                height: 10,
                rx: 3,
                fill: entry.colour,
              })
            : shape("circle", { cx: start + swatch / 2, cy: middle, r: entry.radius, fill: entry.colour }),
          text(entry.label, {
            x: start + swatch + 6,
            y: middle + LABEL * 0.36,
            size: LABEL,
            colour: colour("muted"),
          }),
        ];
      }),
  };
}

/** Panels in rows; of one column they share their left edge. */
function gridOf(blocks: readonly (Block & { left: number })[], columns: number): Block {
  const rows = Array.from({ length: Math.ceil(blocks.length / columns) }, (_, row) =>
    blocks.slice(row * columns, (row + 1) * columns),
  );
  const column = (i: number): (Block & { left: number })[] => rows.flatMap((row) => row[i] ?? []);
  const lefts = Array.from({ length: columns }, (_, i) => Math.max(0, ...column(i).map(({ left }) => left)));
  const widths = lefts.map(
    (most, i) => Math.max(0, ...column(i).map(({ left, width }) => most - left + width)) + (i > 0 ? GAP : 0),
  );
  const heights = rows.map((row, i) => Math.max(...row.map(({ height }) => height)) + (i > 0 ? GAP / 2 : 0));
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  return {
    width: sum(widths),
    height: sum(heights),
    content: (left, top) =>
      rows.flatMap((row, r) =>
        row.flatMap((block, c) => {
          const x = left + sum(widths.slice(0, c)) + (c > 0 ? GAP : 0) + (lefts[c] ?? 0) - block.left;
          const y = top + sum(heights.slice(0, r)) + (r > 0 ? GAP / 2 : 0);
          return block.content(x, y);
        }),
      ),
  };
}

/** A panel and what is written around it. `left`: how far its plot stands from its left edge. */
function blockOf(panel: Panel): Block & { left: number } {
  const { title, x, y, marks, namesAbove = false } = panel;
  const width = x.length ?? panel.width ?? 420;
  const height = y.length ?? panel.height ?? 260;
  const letters = { size: LABEL };
  const nameOf = ({ label }: Tick): string => fitText(label, { ...letters, maxWidth: NAME_LIMIT });
  const longest = (axis: Placed): number =>
    Math.max(0, ...axis.ticks.map((tick) => textWidth(nameOf(tick), letters)));
  /** Names go down, numbers up. */
  const upright = (top: number): Placed =>
    y.names ? y.place(top, top + height) : y.place(top + height, top);
  const across = x.place(0, width);
  const turned = x.names && longest(across) > across.band - 4;
  const left = longest(upright(0)) + 10 + (y.title === undefined ? 0 : LABEL + 8);
  const names = turned ? longest(across) * Math.sin((-TURNED * Math.PI) / 180) + LABEL : LABEL + 4;
  const above = (title === undefined ? 6 : LABEL + 14) + (namesAbove ? names + 6 : 0);
  const below = (namesAbove ? 4 : names + 8) + (x.title === undefined ? 0 : LABEL + 8);
  // turned names reach beyond the last band, numbers beyond the ends
  const last = across.ticks.at(-1);
  const reach = turned
    ? Math.max(
        0,
        ...across.ticks.map(
          (tick) =>
            across.at(tick.value) +
            textWidth(nameOf(tick), letters) * Math.cos((TURNED * Math.PI) / 180) +
            LABEL -
            width,
        ),
      )
    : last === undefined
      ? 0
      : Math.max(0, across.at(last.value) + textWidth(nameOf(last), letters) / 2 - width);
  return {
    left,
    width: left + width + (namesAbove ? reach : turned ? 8 : reach),
    height: above + height + below,
    content(fromX, fromY) {
      const [x0, y0] = [fromX + left, fromY + above];
      const plot: Plot = { x: x.place(x0, x0 + width), y: upright(y0) };
      const write = (content: string, place: Omit<Parameters<typeof text>[1], "size" | "colour">): Html =>
        text(content, { ...place, size: LABEL, colour: colour("muted") });
      const grid = y.names
        ? []
        : plot.y.ticks.map(({ value }) =>
            shape("line", {
              x1: x0,
              x2: x0 + width,
              y1: plot.y.at(value),
              y2: plot.y.at(value),
              stroke: colour("rule"),
            }),
          );
      const base = y.names && x.names ? [] : [baseline(plot, y0 + height)];
      const besides = plot.y.ticks.map((tick) =>
        text(nameOf(tick), {
          x: x0 - 8,
          y: plot.y.at(tick.value) + LABEL * 0.36,
          size: LABEL,
          colour: colour(y.names ? "ink" : "muted"),
          anchor: "end",
        }),
      );
      const along = (turned ? plot.x.ticks : apart(plot.x, nameOf)).map((tick) => {
        const at = plot.x.at(tick.value);
        const y = namesAbove ? y0 - 8 : y0 + height + LABEL + 6;
        const place = turned
          ? ({ x: at + LABEL * 0.3, y, turned: TURNED, anchor: namesAbove ? "start" : "end" } as const)
          : ({ x: at, y, anchor: "middle" } as const);
        return text(nameOf(tick), { ...place, size: LABEL, colour: colour(x.names ? "ink" : "muted") });
      });
      return [
        ...(title === undefined
          ? []
          : [text(title, { x: x0, y: fromY + LABEL, size: LABEL, bold: true, maxWidth: width })]),
        ...grid,
        ...base,
        ...marks.flatMap((mark) => mark(plot)),
        ...besides,
        ...along,
        ...(x.title === undefined
          ? []
          : [write(x.title, { x: x0 + width / 2, y: y0 + height + below - 4, anchor: "middle" })]),
        ...(y.title === undefined
          ? []
          : [write(y.title, { x: fromX + LABEL, y: y0 + height / 2, anchor: "middle", turned: -90 })]),
      ];
    },
  };
}

/** Without those that would touch the one before. */
function apart({ ticks, at }: Placed, nameOf: (tick: Tick) => string): Tick[] {
  let end = -Infinity;
  return ticks.filter((tick) => {
    const half = textWidth(nameOf(tick), { size: LABEL }) / 2;
    if (at(tick.value) - half < end) return false;
    end = at(tick.value) + half + 4;
    return true;
  });
}

function baseline({ x }: Plot, y: number): Html {
  return shape("line", { x1: x.from, x2: x.to, y1: y, y2: y, stroke: colour("rule") });
}
