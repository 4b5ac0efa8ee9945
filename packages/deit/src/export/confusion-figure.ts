/** The confusion matrix of an exported model as an SVG, for its card. */
import type { ClassPairs } from "../evaluation/metrics/confusion-counts.ts";
import { classResults, confusionMatrix } from "../evaluation/metrics/confusion-counts.ts";
import { chartFile } from "../figures/chart.ts";
import { confusionChart, LARGEST_MATRIX } from "../figures/confusion.ts";

/** The file's content. Of many classes those with the most mistakes are shown. */
export function confusionImage(pairs: ClassPairs, classes: readonly string[]): string {
  const shown = classResults(pairs)
    .filter(({ images }) => images > 0)
    .toSorted((a, b) => a.right / a.images - b.right / b.images)
    .slice(0, LARGEST_MATRIX)
    .map(({ label }) => label)
    .toSorted((a, b) => a - b);
  const all = confusionMatrix(pairs);
  const counts = Uint32Array.from(
    shown.flatMap((row) => shown.map((column) => all[row * pairs.numClasses + column] ?? 0)),
  );
  const names = shown.map((label) => classes[label] ?? String(label));
  return chartFile(confusionChart({ counts, classes: names }, { title: "Confusion matrix" }));
}
