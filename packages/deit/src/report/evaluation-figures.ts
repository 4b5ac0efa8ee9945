/** Figures of an evaluation: what confidence is worth, and accuracy beside accuracy. */
import type { Calibration } from "../evaluation/metrics/calibration.ts";
import type { CheckpointReport } from "../evaluation/checkpoint-report.ts";
import { nameAxis, numberAxis, percentLabel } from "../figures/axis.ts";
import type { Chart } from "../figures/chart.ts";
import { colour, seriesColour } from "../figures/colours.ts";
import { dots, labels, line, segments } from "../figures/marks.ts";

const SIDE = 340;
/** Radius of the dot of all answers. */
const LARGEST = 9;

/** Share of right answers by confidence, a line for each model; on the diagonal confidence means what it says. */
export function reliabilityFigure(
  models: readonly { readonly name: string; readonly calibration: Calibration }[],
): Chart {
  const lines = models.map(({ calibration: { bins } }) =>
    bins
      .filter(({ count }) => count > 0)
      .map(({ confidence, accuracy, count }) => ({
        x: confidence,
        y: accuracy,
        count,
        title: `${percentLabel(accuracy)} of ${count.toLocaleString("en-US")} predictions are correct`,
      })),
  );
  const most = Math.max(...lines.flat().map(({ count }) => count));
  const axis = { domain: [0, 1], format: percentLabel } as const;
  return {
    description: "Reliability: accuracy by confidence",
    title: "Reliability",
    subtitle: "Accuracy by confidence; area of a point: number of predictions",
    ...(models.length > 1 && {
      key: models.map(({ name }, i) => ({ label: name, colour: seriesColour(i) })),
    }),
    panels: [
      {
        width: SIDE,
        height: SIDE,
        x: numberAxis([], { ...axis, title: "confidence" }),
        y: numberAxis([], { ...axis, title: "accuracy" }),
        marks: [
          segments([{ x: [0, 1], y: [0, 1] }], { colour: colour("muted"), width: 1, dash: "4 4" }),
          ...lines.flatMap((points, i) => [
            line(points, { colour: seriesColour(i) }),
            dots(points, {
              colour: seriesColour(i),
              radius: (_, at) => 1.5 + LARGEST * Math.sqrt((points[at]?.count ?? 0) / most),
            }),
          ]),
        ],
      },
    ],
  };
}

/** Top-1 of each model with its interval. */
export function accuracyFigure(models: readonly CheckpointReport[]): Chart {
  const values = models.map(({ name, acc1, interval }, y) => ({
    x: acc1,
    y,
    ends: interval?.acc1 ?? ([acc1, acc1] as const),
    label: `${acc1.toFixed(1)} %`,
    title: name,
  }));
  return {
    description: "Top-1 accuracy of each model with its 95 % interval",
    title: "Top-1",
    subtitle: "Percent of the images, 95 % interval",
    panels: [
      {
        width: 420,
        x: numberAxis(values.flatMap(({ ends }) => ends)),
        y: nameAxis(
          models.map(({ name }) => name),
          { step: 40 },
        ),
        marks: [
          segments(
            values.map(({ y, ends: [low, high] }) => ({ x: [low, high], y })),
            { colour: colour("blue") },
          ),
          dots(values, { colour: colour("blue"), radius: 5 }),
          labels(
            values.map((value) => ({ ...value, dy: -10 })),
            { colour: colour("ink") },
          ),
        ],
      },
    ],
  };
}
