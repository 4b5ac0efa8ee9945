/** Images that were answered wrongly: those that cost the model most come first, and wrong labels among them. Pure. */
import type { Dataset } from "../../data/dataset.ts";
import type { HeadAnswers, ImageAnswers } from "./answer-sheet.ts";
import type { WrongReport } from "../checkpoint-report.ts";

/** One entry of `ImageAnswers`, and how much its answer costs. */
export interface WrongImage {
  readonly entry: number;
  /** Cross-entropy in nats; NaN where the model answered NaN. */
  readonly loss: number;
}

/** The `limit` wrong answers of largest loss; NaN is the largest, on a tie the earlier image comes first. */
export function wrongImages(
  { labels }: Pick<ImageAnswers, "labels">,
  { predicted, loss }: Pick<HeadAnswers, "predicted" | "loss">,
  limit: number,
): WrongImage[] {
  const size = (value: number): number => (Number.isNaN(value) ? Infinity : value);
  return [...labels.keys()]
    .filter((i) => predicted[i] !== labels[i])
    .map((entry) => ({ entry, loss: loss[entry] ?? Number.NaN }))
    .sort((a, b) => (size(b.loss) > size(a.loss) ? 1 : size(b.loss) < size(a.loss) ? -1 : a.entry - b.entry))
    .slice(0, limit);
}

/** Wrong answers in words and numbers. */
export function describeWrong(
  wrong: readonly WrongImage[],
  {
    images,
    labels,
    predicted,
    confidence,
    truth,
  }: Pick<ImageAnswers, "images" | "labels"> & Pick<HeadAnswers, "predicted" | "confidence" | "truth">,
  { dataset, classes }: { dataset: Pick<Dataset, "describe">; classes: readonly string[] },
): WrongReport[] {
  const nameOf = (index = -1): string => classes[index] ?? String(index);
  const known = (value = Number.NaN): number | null => (Number.isNaN(value) ? null : value);
  return wrong.map(({ entry, loss }) => ({
    image: dataset.describe(images[entry] ?? 0),
    label: nameOf(labels[entry]),
    predicted: predicted[entry] === -1 ? null : nameOf(predicted[entry]),
    confidence: known(confidence[entry]),
    truth: known(truth[entry]),
    loss: known(loss),
  }));
}
