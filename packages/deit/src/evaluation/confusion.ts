/** Which classes are taken for which: counts of (label, predicted class) over single predictions. Pure. */

/** One wrong answer that was given more than never. Class indices. */
export interface Confusion {
  readonly label: number;
  readonly predicted: number;
  readonly count: number;
}

/** How one class fares. */
export interface ClassResult {
  readonly label: number;
  /** Pictures of the class. */
  readonly images: number;
  /** Those that were recognised. */
  readonly right: number;
}

/** Labels and predicted classes of the same pictures, as class indices below `numClasses`; predicted may be -1 for "none". */
export interface ClassPairs {
  readonly labels: Int32Array;
  readonly predicted: Int32Array;
  readonly numClasses: number;
}

/** Counts [K, K], row-major: row = label, column = predicted class. 4 K² bytes: for few classes. */
export function confusionMatrix({ labels, predicted, numClasses }: ClassPairs): Uint32Array {
  const counts = new Uint32Array(numClasses * numClasses);
  for (const [i, label] of labels.entries()) {
    const column = predicted[i] ?? -1;
    const cell = label * numClasses + column;
    if (column >= 0) counts[cell] = (counts[cell] ?? 0) + 1;
  }
  return counts;
}

/** The `limit` most frequent mistakes, most frequent first; on a tie by label, then by predicted class. */
export function mostConfused({ labels, predicted, numClasses }: ClassPairs, limit: number): Confusion[] {
  // Only what occurs is counted: K² counters would not fit for thousands of classes.
  const counts = new Map<number, number>();
  for (const [i, label] of labels.entries()) {
    const answer = predicted[i] ?? -1;
    const pair = label * numClasses + answer;
    if (answer >= 0 && answer !== label) counts.set(pair, (counts.get(pair) ?? 0) + 1);
  }
  return [...counts]
    .toSorted(([pairA, a], [pairB, b]) => b - a || pairA - pairB)
    .slice(0, limit)
    .map(([pair, count]) => ({
      label: Math.floor(pair / numClasses),
      predicted: pair % numClasses,
      count,
    }));
}

/** Every class by index; classes without pictures have 0. */
export function classResults({ labels, predicted, numClasses }: ClassPairs): ClassResult[] {
  const images = new Uint32Array(numClasses);
  const right = new Uint32Array(numClasses);
  for (const [i, label] of labels.entries()) {
    images[label] = (images[label] ?? 0) + 1;
    if (predicted[i] === label) right[label] = (right[label] ?? 0) + 1;
  }
  return Array.from(images, (count, label) => ({ label, images: count, right: right[label] ?? 0 }));
}
