/** Figures of an evaluation: what confidence is worth, accuracy beside accuracy, and which class is taken for which. */
import type { Calibration } from "../evaluation/calibration.ts";
import type { CheckpointReport } from "../evaluation/checkpoint-report.ts";
import type { Figure } from "../figures/draw.ts";

const SIDE = 340;

/** Share of right answers by confidence, a line for each model; on the diagonal confidence means what it says. */
export function reliabilityFigure(
  models: readonly { readonly name: string; readonly calibration: Calibration }[],
): Figure {
  const values = models.flatMap(({ name, calibration: { bins } }) =>
    bins
      .filter(({ count }) => count > 0)
      .map(({ confidence, accuracy, count }) => ({ model: name, confidence, accuracy, count })),
  );
  const names = models.map(({ name }) => name);
  return ({ muted, series }) => ({
    title: {
      text: "Reliability",
      subtitle: "Right answers by confidence; area of a point: number of answers",
    },
    width: SIDE,
    height: SIDE,
    layer: [
      {
        data: {
          values: [
            { x: 0, y: 0 },
            { x: 1, y: 1 },
          ],
        },
        mark: { type: "line", strokeDash: [4, 4], color: muted, strokeWidth: 1 },
        encoding: { x: { field: "x", type: "quantitative" }, y: { field: "y", type: "quantitative" } },
      },
      {
        data: { values },
        mark: { type: "line", strokeWidth: 2 },
        encoding: {
          x: {
            field: "confidence",
            type: "quantitative",
            title: "confidence",
            scale: { domain: [0, 1] },
            axis: { format: "%" },
          },
          y: {
            field: "accuracy",
            type: "quantitative",
            title: "right",
            scale: { domain: [0, 1] },
            axis: { format: "%" },
          },
          color: colourOf(names, series),
        },
      },
      {
        data: { values },
        mark: { type: "circle", opacity: 1 },
        encoding: {
          x: { field: "confidence", type: "quantitative" },
          y: { field: "accuracy", type: "quantitative" },
          size: { field: "count", type: "quantitative", legend: null, scale: { range: [12, 260] } },
          color: colourOf(names, series),
        },
      },
    ],
  });
}

function colourOf(
  names: readonly string[],
  series: readonly string[],
): {
  field: "model";
  type: "nominal";
  sort: string[];
  scale: { domain: string[]; range: string[] };
  legend: { title: null; orient: "bottom"; columns: number; labelLimit: number } | null;
} {
  return {
    field: "model",
    type: "nominal",
    sort: [...names],
    scale: { domain: [...names], range: names.map((_, i) => series[i % series.length] ?? "") },
    legend: names.length > 1 ? { title: null, orient: "bottom", columns: 2, labelLimit: 240 } : null,
  };
}

/** Top-1 of each model with its interval. */
export function accuracyFigure(models: readonly CheckpointReport[]): Figure {
  const values = models.map(({ name, acc1, interval }) => ({
    model: name,
    acc1,
    low: interval?.acc1[0] ?? acc1,
    high: interval?.acc1[1] ?? acc1,
    shown: `${acc1.toFixed(1)} %`,
  }));
  return ({ blue, ink }) => ({
    title: { text: "Top-1", subtitle: "Percent of the images, 95 % interval" },
    data: { values },
    width: 420,
    height: { step: 34 },
    encoding: {
      y: {
        field: "model",
        type: "nominal",
        sort: models.map(({ name }) => name),
        axis: { title: null, labelLimit: 280, labelColor: ink },
      },
    },
    layer: [
      {
        mark: { type: "rule", color: blue, strokeWidth: 2 },
        encoding: {
          x: { field: "low", type: "quantitative", title: null, scale: { zero: false, nice: true } },
          x2: { field: "high" },
        },
      },
      {
        mark: { type: "circle", color: blue, size: 90, opacity: 1 },
        encoding: { x: { field: "acc1", type: "quantitative" } },
      },
      {
        mark: { type: "text", dy: -11, fontSize: 12, color: ink },
        encoding: { x: { field: "acc1", type: "quantitative" }, text: { field: "shown" } },
      },
    ],
  });
}
