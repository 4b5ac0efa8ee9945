/**
 * The charts of a report as SVG: Vega-Lite drawn without a screen. Colours are CSS variables of the page, so that
 * a chart follows its light and dark. Titles and keys are the page's: they wrap on a phone, where a chart only shrinks.
 */
import type { TopLevelSpec } from "vega-lite";
import type { Calibration } from "../evaluation/calibration.ts";
import { drawSvg, ZERO_AS_ZERO } from "../figures/draw.ts";
import type { EpochRecord } from "../training/run-log.ts";

/** A line over epochs. */
export interface Series {
  readonly name: string;
  /** A CSS variable of style.ts. */
  readonly colour: string;
  /** Key in the records of log.jsonl. */
  readonly key: string;
}

type Spec = Extract<TopLevelSpec, { layer: unknown }>;
type Layer = Spec["layer"][number];

/** About as wide as a chart is shown, so that its letters keep their size. */
const WIDTH = 320;
const HEIGHT = 200;
const RELIABILITY_WIDTH = 420;

/** Lines of some series of a log by epoch, from 1; epochs without a value are passed over. `best`: a point to mark. */
export async function curves(
  log: readonly EpochRecord[],
  series: readonly Series[],
  {
    format,
    best,
    description,
  }: { format?: string; best?: { epoch: number; key: string }; description: string },
): Promise<string> {
  const values = log.flatMap((record) =>
    series.flatMap(({ key, name }) => {
      const value = record[key];
      return typeof value === "number"
        ? [{ epoch: record.epoch + 1, value, name, best: record.epoch === best?.epoch && key === best.key }]
        : [];
    }),
  );
  const epochs = values.map(({ epoch }) => epoch);
  const [first, last] = [Math.min(...epochs), Math.max(...epochs)];
  const colour = {
    field: "name",
    type: "nominal",
    scale: { domain: series.map(({ name }) => name), range: series.map(({ colour }) => colour) },
    legend: null,
  } as const;
  const points: Layer = { mark: { type: "point", filled: true, size: 28, opacity: 1 } };
  const marked: Layer = {
    transform: [{ filter: "datum.best" }],
    mark: { type: "point", filled: true, size: 90, opacity: 1, stroke: "var(--surface)", strokeWidth: 2 },
  };
  return draw({
    description,
    width: WIDTH,
    height: HEIGHT,
    data: { values },
    encoding: {
      x: {
        field: "epoch",
        type: "quantitative",
        scale: first < last ? { domain: [first, last], nice: false } : {},
        axis: { tickMinStep: 1, format: "d", title: "epoch" },
      },
      y: {
        field: "value",
        type: "quantitative",
        scale: { zero: false },
        axis: { title: null, ...(format && { format, labelExpr: ZERO_AS_ZERO }) },
      },
      color: colour,
    },
    layer: [
      { mark: { type: "line", strokeWidth: 2, strokeJoin: "round", interpolate: "linear" } },
      ...(last - first < 15 ? [points] : []),
      marked,
    ],
  });
}

/** Accuracy (bars) and mean confidence (lines) of each bin; below, how many answers have which confidence. */
export async function reliability({ bins }: Calibration): Promise<string> {
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  const values = bins.filter(({ count }) => count > 0).map((bin) => ({ ...bin, share: bin.count / total }));
  const unit = { domain: [0, 1], nice: false };
  const x = {
    field: "from",
    type: "quantitative" as const,
    scale: unit,
    axis: { format: ".0%", title: null },
  };
  const bar = { type: "bar", binSpacing: 1 } as const;
  return draw({
    description: "Reliability: accuracy of the answers by their confidence",
    spacing: 14,
    vconcat: [
      {
        width: RELIABILITY_WIDTH,
        height: 260,
        data: { values },
        encoding: { x },
        layer: [
          {
            mark: { ...bar, color: "var(--blue)", opacity: 0.85 },
            encoding: {
              x2: { field: "to" },
              y: {
                field: "accuracy",
                type: "quantitative",
                scale: unit,
                axis: { format: ".0%", title: "answers that are right" },
              },
              y2: { datum: 0 },
            },
          },
          {
            mark: { type: "rule", color: "var(--orange)", strokeWidth: 3 },
            encoding: {
              x2: { field: "to" },
              y: { field: "confidence", type: "quantitative", scale: unit },
            },
          },
          {
            data: { values: [{ from: 0, to: 1 }] },
            mark: { type: "rule", strokeDash: [4, 4], color: "var(--muted)" },
            encoding: {
              x2: { field: "to" },
              y: { field: "from", type: "quantitative", scale: unit },
              y2: { field: "to" },
            },
          },
        ],
      },
      {
        width: RELIABILITY_WIDTH,
        height: 64,
        data: { values },
        mark: { ...bar, color: "var(--muted)", opacity: 0.5 },
        encoding: {
          x: { ...x, axis: { format: ".0%", title: "confidence" } },
          x2: { field: "to" },
          y: {
            field: "share",
            type: "quantitative",
            axis: { format: ".0%", title: "answers", tickCount: 2 },
          },
          y2: { datum: 0 },
        },
      },
    ],
  });
}

function draw(spec: TopLevelSpec): Promise<string> {
  return drawSvg(() => spec, "page");
}
