/** The images of an ablation: differences from the baseline with their intervals, or curves over what the rows vary. */
import {
  colour,
  dots,
  line,
  logAxis,
  nameAxis,
  numberAxis,
  plainNumber,
  segments,
  seriesColour,
  strokes,
} from "deit-ts/charts";
import type { Chart } from "deit-ts/charts";
import type { Measured, Summary } from "./statistics.ts";
import { halfInterval } from "./statistics.ts";
import type { AblationTable } from "./table.ts";
import { linesOf } from "./results.ts";

const WIDTH = 420;
const STEP = 26;

export interface Words {
  /** Of the axis of the values: "top-1, %". */
  readonly value: string;
  readonly title?: string;
}

/**
 * Dots and intervals, a line each: differences of pairs, seeds as ticks. What has none (the baseline, rows that share no
 * seed with theirs) is left out. Undefined when nothing has one.
 */
export function differencesFigure(
  measured: readonly Measured[],
  summaries: readonly Summary[],
  { value, title }: Words,
): Chart | undefined {
  const rows = summaries.flatMap(({ name, line, difference }) =>
    difference === null ? [] : [{ name, line, difference }],
  );
  if (rows.length === 0) return undefined;
  const of = (line: string, seed: number): number | undefined =>
    measured.find((one) => one.line === line && one.seed === seed)?.value;
  const seeds = rows.flatMap(({ line, difference: { against } }, y) =>
    measured.flatMap((one) => {
      const base = of(against, one.seed);
      return one.line === line && base !== undefined ? [{ x: one.value - base, y }] : [];
    }),
  );
  const bars = rows.map(({ difference: { mean, half, found } }, y) => ({
    x: mean,
    y,
    ends: [mean - (half ?? 0), mean + (half ?? 0)] as const,
    colour: colour(found ? "blue" : "muted"),
  }));
  const axis = `${value}, difference`;
  return {
    description: axis,
    title,
    panels: [
      {
        width: WIDTH,
        x: numberAxis([0, ...seeds.map(({ x }) => x), ...bars.flatMap(({ ends }) => ends)], { title: axis }),
        y: nameAxis(
          rows.map(({ name }) => name),
          { step: STEP },
        ),
        marks: [
          segments([{ x: 0 }], { colour: colour("muted"), width: 1, dash: "4 3" }),
          strokes(seeds, { colour: colour("muted"), opacity: 0.8 }),
          ...bars.flatMap(({ ends, colour, ...bar }) => [
            segments([{ x: ends, y: bar.y }], { colour }),
            dots([bar], { colour, radius: 4.5 }),
          ]),
        ],
      },
    ],
  };
}

/** Curves over `x`, a series each, with the 95 % interval of the mean; for tables whose rows have places. */
export function curvesFigure(
  table: AblationTable,
  measured: readonly Measured[],
  { value, title }: Words,
): Chart | undefined {
  const points = table.rows.flatMap((row) => {
    const { series, x } = row;
    const line = linesOf(row).at(-1)?.name;
    const values = measured.filter((one) => one.line === line).map((one) => one.value);
    if (series === undefined || x === undefined || values.length === 0) return [];
    const mean = values.reduce((sum, one) => sum + one, 0) / values.length;
    const half = halfInterval(values) ?? 0;
    return [{ series, x, y: mean, low: mean - half, high: mean + half }];
  });
  const places = [...new Set(points.map(({ x }) => x))].toSorted((a, b) => a - b);
  const names = [...new Set(table.rows.flatMap(({ series }) => series ?? []))];
  if (places.length < 2) return undefined;
  return {
    description: `${value} by ${table.axis ?? "place"}`,
    title,
    key: names.map((label, i) => ({ label, colour: seriesColour(i) })),
    panels: [
      {
        width: WIDTH,
        height: 300,
        x: logAxis(places, { title: table.axis ?? "", ticks: places, room: 1.2, format: plainNumber }),
        y: numberAxis(
          points.flatMap(({ low, high }) => [low, high]),
          { title: value },
        ),
        marks: names.flatMap((name, i) => {
          const own = points.filter(({ series }) => series === name);
          const style = { colour: seriesColour(i) };
          return [
            line(own, style),
            segments(
              own.map(({ x, low, high }) => ({ x, y: [low, high] })),
              style,
            ),
            dots(own, { ...style, radius: 4 }),
          ];
        }),
      },
    ],
  };
}
