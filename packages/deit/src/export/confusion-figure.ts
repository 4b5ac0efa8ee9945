/** The confusion matrix of an exported model as an image, for its card. */
import type { ClassPairs } from "../evaluation/confusion.ts";
import { classResults, confusionMatrix } from "../evaluation/confusion.ts";
import { confusionFigure, LARGEST_MATRIX } from "../figures/confusion.ts";
import { drawPng } from "../figures/draw.ts";

/** PNG bytes. Of many classes those with the most mistakes are shown. */
export async function confusionImage(pairs: ClassPairs, classes: readonly string[]): Promise<Uint8Array> {
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
  return drawPng(confusionFigure({ counts, classes: names }, { title: "Confusion matrix" }), "light");
}
