/** The pictures of an ablation: differences from the baseline with their intervals, or curves over what the rows vary. */
import type { TopLevelSpec } from "vega-lite";
import type { Figure } from "../../figures/draw.ts";
import type { Difference, Measured, Summary } from "./statistics.ts";
import { halfInterval } from "./statistics.ts";
import type { AblationTable } from "./table.ts";
import { linesOf } from "./results.ts";

type Layered = Extract<TopLevelSpec, { layer: unknown }>;

const WIDTH = 420;
const STEP = 26;
/** Longer names are cut off; Vega takes letters for a third wider than they are. */
const NAME_LIMIT = 480;

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
): Figure | undefined {
  const rows = summaries.flatMap(({ name, line, difference }) =>
    difference === null ? [] : [{ name, line, difference }],
  );
  if (rows.length === 0) return undefined;
  const of = (line: string, seed: number): number | undefined =>
    measured.find((one) => one.line === line && one.seed === seed)?.value;
  const seeds = rows.flatMap(({ name, line, difference: { against } }) =>
    measured.flatMap((one) => {
      const base = of(against, one.seed);
      return one.line === line && base !== undefined ? [{ name, value: one.value - base }] : [];
    }),
  );
  const bars = rows.map(
    ({ name, difference: { mean, half, found } }: { name: string; difference: Difference }) => ({
      name,
      value: mean,
      low: mean - (half ?? 0),
      high: mean + (half ?? 0),
      found,
    }),
  );
  return (palette) => {
    const y = {
      field: "name",
      type: "nominal",
      sort: rows.map(({ name }) => name),
      axis: { title: null, labelLimit: NAME_LIMIT, labelColor: palette.ink },
    } as const;
    const x = {
      field: "value",
      type: "quantitative",
      title: `${value}, difference`,
    } as const;
    const colour = {
      condition: { test: "datum.found", value: palette.blue },
      value: palette.muted,
    } as const;
    return {
      ...(title !== undefined && { title }),
      width: WIDTH,
      height: { step: STEP },
      layer: [
        {
          data: { values: [{}] },
          mark: { type: "rule", color: palette.muted, strokeDash: [4, 3] },
          encoding: { x: { datum: 0 } },
        },
        {
          data: { values: seeds },
          mark: { type: "tick", thickness: 1, size: 10, color: palette.muted, opacity: 0.8 },
          encoding: { x, y },
        },
        {
          data: { values: bars },
          mark: { type: "rule", strokeWidth: 2 },
          encoding: { x: { ...x, field: "low" }, x2: { field: "high" }, y, color: colour },
        },
        {
          data: { values: bars },
          mark: { type: "circle", size: 70, opacity: 1 },
          encoding: { x, y, color: colour },
        },
      ],
    };
  };
}

/** Curves over `x`, a series each, with the 95 % interval of the mean; for tables whose rows have places. */
export function curvesFigure(
  table: AblationTable,
  measured: readonly Measured[],
  { value, title }: Words,
): Figure | undefined {
  const points = table.rows.flatMap((row) => {
    const { series, x } = row;
    const line = linesOf(row).at(-1)?.name;
    const values = measured.filter((one) => one.line === line).map((one) => one.value);
    if (series === undefined || x === undefined || values.length === 0) return [];
    const mean = values.reduce((sum, one) => sum + one, 0) / values.length;
    const half = halfInterval(values) ?? 0;
    return [{ series, x, mean, low: mean - half, high: mean + half }];
  });
  const places = [...new Set(points.map(({ x }) => x))].toSorted((a, b) => a - b);
  const names = [...new Set(table.rows.flatMap(({ series }) => series ?? []))];
  if (places.length < 2) return undefined;
  const domain: [number, number] = [(places[0] ?? 1) / 1.2, (places.at(-1) ?? 1) * 1.2];
  return (palette): Layered => {
    const x = {
      field: "x",
      type: "quantitative",
      scale: { type: "log", domain, nice: false },
      axis: {
        values: places,
        title: table.axis ?? "",
        labelExpr: "format(datum.value, ',')",
        labelOverlap: false,
        tickCount: 50,
      },
    } as const;
    const y = { field: "mean", type: "quantitative", scale: { zero: false }, title: value } as const;
    const color = {
      field: "series",
      type: "nominal",
      scale: { domain: names, range: names.map((_, i) => palette.series[i % palette.series.length] ?? "") },
      legend: { title: null, labelLimit: NAME_LIMIT, symbolType: "circle", symbolOpacity: 1 },
    } as const;
    return {
      ...(title !== undefined && { title }),
      width: WIDTH,
      height: 300,
      data: { values: points },
      layer: [
        { mark: { type: "line", strokeWidth: 2 }, encoding: { x, y, color } },
        {
          mark: { type: "rule", strokeWidth: 2 },
          encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color },
        },
        { mark: { type: "circle", size: 60, opacity: 1 }, encoding: { x, y, color } },
      ],
    };
  };
}
