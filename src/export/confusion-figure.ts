/** The confusion matrix as a picture: rows are true classes, columns what was answered. */
import type { ClassPairs } from "../evaluation/confusion.ts";
import { classResults, confusionMatrix } from "../evaluation/confusion.ts";
import { drawPng } from "../figures/draw.ts";
import type { Figure } from "../figures/draw.ts";

/** More rows than this would have no readable names: those with the most mistakes are shown. */
const MOST = 40;

/** PNG bytes. */
export async function confusionFigure(pairs: ClassPairs, classes: readonly string[]): Promise<Uint8Array> {
  const shown = shownClasses(pairs);
  const counts = confusionMatrix(pairs);
  const label = (index: number): string => `${classes[index] ?? index}`;
  const values = shown.flatMap((row) => {
    const total = shown.reduce((sum, column) => sum + (counts[row * pairs.numClasses + column] ?? 0), 0);
    return shown.map((column) => ({
      label: label(row),
      predicted: label(column),
      share: total === 0 ? 0 : (counts[row * pairs.numClasses + column] ?? 0) / total,
    }));
  });
  const cell = shown.length <= 12 ? 34 : 16;
  const order = shown.map(label);
  const axis = {
    labelFontSize: shown.length <= 12 ? 12 : 9,
    labelLimit: 120,
    ticks: false,
    domain: false,
  } as const;
  const figure: Figure = ({ surface, heat }) => ({
    width: { step: cell },
    height: { step: cell },
    data: { values },
    mark: { type: "rect", stroke: surface, strokeWidth: 1 },
    encoding: {
      x: {
        field: "predicted",
        type: "nominal",
        sort: order,
        axis: { ...axis, labelAngle: -90, title: "answered" },
      },
      y: { field: "label", type: "nominal", sort: order, axis: { ...axis, title: "true class" } },
      color: {
        field: "share",
        type: "quantitative",
        scale: { domain: [0, 1], range: [...heat] },
        legend: { title: "share of row", format: ".0%", tickCount: 3 },
      },
    },
  });
  return drawPng(figure, "light");
}

/** All classes with pictures, or the ones with the lowest share of right answers, in the order of their indices. */
function shownClasses(pairs: ClassPairs): number[] {
  return classResults(pairs)
    .filter(({ images }) => images > 0)
    .toSorted((a, b) => a.right / a.images - b.right / b.images)
    .slice(0, MOST)
    .map(({ label }) => label)
    .toSorted((a, b) => a - b);
}
