/** The charts of a report. Titles and keys are the page's: they wrap on a phone, where a chart only shrinks. */
import type { Calibration } from "../evaluation/metrics/calibration.ts";
import type { Format } from "../figures/axis.ts";
import { numberAxis, percentLabel } from "../figures/axis.ts";
import { drawChart } from "../figures/chart.ts";
import { colour } from "../figures/colours.ts";
import { bars, dots, line, segments } from "../figures/marks.ts";
import type { EpochRecord } from "../training/run/run-log.ts";
import { percent, short } from "./format.ts";

/** A line over epochs. */
export interface Series {
  readonly name: string;
  readonly colour: string;
  /** Key in the records of log.jsonl. */
  readonly key: string;
}

/** About as wide as a chart is shown, so that its letters keep their size. */
const WIDTH = 300;
const HEIGHT = 190;
const RELIABILITY_WIDTH = 420;
/** Epochs that are dots on their line; of more the line is enough. */
const DOTTED = 15;

/** Lines of some series of a log by epoch, from 1; epochs without a value are passed over. `best`: a point to mark. */
export function curves(
  log: readonly EpochRecord[],
  series: readonly Series[],
  {
    format,
    best,
    description,
  }: { format?: Format; best?: { epoch: number; key: string }; description: string },
): string {
  const lines = series.map(({ name, colour, key }) => ({
    colour,
    points: log.flatMap((record) => {
      const y = record[key];
      if (typeof y !== "number") return [];
      const marked = record.epoch === best?.epoch && key === best.key;
      return [{ x: record.epoch + 1, y, marked, title: `epoch ${record.epoch + 1}, ${name}: ${short(y)}` }];
    }),
  }));
  const all = lines.flatMap(({ points }) => points);
  const epochs = all.map(({ x }) => x);
  const isShort = Math.max(...epochs) - Math.min(...epochs) < DOTTED;
  return drawChart({
    description,
    panels: [
      {
        width: WIDTH,
        height: HEIGHT,
        x: numberAxis(epochs, { title: "epoch", whole: true }),
        y: numberAxis(
          all.map(({ y }) => y),
          { ...(format && { format }) },
        ),
        marks: lines.flatMap(({ colour: own, points }) => [
          line(points, { colour: own }),
          ...(isShort ? [dots(points, { colour: own })] : []),
          dots(
            points.filter(({ marked }) => marked),
            { colour: own, radius: 5.5, edge: colour("surface") },
          ),
        ]),
      },
    ],
  });
}

/** Accuracy (bars) and mean confidence (lines) of each bin; below, how many answers have which confidence. */
export function reliability({ bins }: Calibration): string {
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  const full = bins.filter(({ count }) => count > 0);
  const unit = { domain: [0, 1], format: percentLabel } as const;
  return drawChart({
    description: "Reliability: accuracy by confidence",
    panels: [
      {
        width: RELIABILITY_WIDTH,
        height: 250,
        x: numberAxis([], unit),
        y: numberAxis([], { ...unit, title: "accuracy" }),
        marks: [
          bars(
            full.map(({ from, to, accuracy, count }) => ({
              from,
              to,
              value: accuracy,
              title: `${percent(accuracy)} of ${count} predictions are correct`,
            })),
            { colour: colour("blue"), opacity: 0.85 },
          ),
          segments(
            full.map(({ from, to, confidence }) => ({ x: [from, to], y: confidence })),
            { colour: colour("orange"), width: 3 },
          ),
          segments([{ x: [0, 1], y: [0, 1] }], { colour: colour("muted"), width: 1, dash: "4 4" }),
        ],
      },
      {
        width: RELIABILITY_WIDTH,
        height: 60,
        x: numberAxis([], { ...unit, title: "confidence" }),
        y: numberAxis(
          full.map(({ count }) => count / total),
          { zero: true, format: percentLabel, title: "answers", distance: 30 },
        ),
        marks: [
          bars(
            full.map(({ from, to, count }) => ({ from, to, value: count / total, title: String(count) })),
            { colour: colour("muted"), opacity: 0.5 },
          ),
        ],
      },
    ],
  });
}
