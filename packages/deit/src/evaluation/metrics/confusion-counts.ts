/** Which classes are taken for which: counts of (label, predicted class) over single predictions, and what follows from them. Pure. */

/** One wrong answer that was given more than never. Class indices. */
export interface Confusion {
  readonly label: number;
  readonly predicted: number;
  readonly count: number;
}

/** How one class fares. */
export interface ClassResult {
  readonly label: number;
  /** Images of the class. */
  readonly images: number;
  /** Those that were recognised: its true positives. */
  readonly right: number;
  /** Images of any class that were answered with it. */
  readonly answered: number;
}

/** In percent; null where there is nothing to divide by. */
export interface ClassScores {
  /** Of the images that were answered with the class, those that are of it; null for a class that was never answered. */
  readonly precision: number | null;
  /** Of the images of the class, those that were answered with it; null for a class without images. */
  readonly recall: number | null;
  /** Harmonic mean of both: 2 · right / (images + answered). */
  readonly f1: number | null;
}

/** Means over the classes that have images, each counting the same. In percent. */
export interface MacroScores {
  readonly classes: number;
  /** A class that was never answered counts as 0, as in scikit-learn. */
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Classes with images that were never answered. */
  readonly neverAnswered: number;
}

/** Labels and predicted classes of the same images, as class indices below `numClasses`; predicted may be -1 for "none". */
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

/** Every class by index; classes without images have 0. */
export function classResults({ labels, predicted, numClasses }: ClassPairs): ClassResult[] {
  const images = new Uint32Array(numClasses);
  const right = new Uint32Array(numClasses);
  const answered = new Uint32Array(numClasses);
  for (const [i, label] of labels.entries()) {
    images[label] = (images[label] ?? 0) + 1;
    const answer = predicted[i] ?? -1;
    if (answer >= 0) answered[answer] = (answered[answer] ?? 0) + 1;
    if (answer === label) right[label] = (right[label] ?? 0) + 1;
  }
  return Array.from(images, (count, label) => ({
    label,
    images: count,
    right: right[label] ?? 0,
    answered: answered[label] ?? 0,
  }));
}

export function classScores({ images, right, answered }: Omit<ClassResult, "label">): ClassScores {
  const percent = (part: number, of: number): number | null => (of === 0 ? null : (100 * part) / of);
  return {
    precision: percent(right, answered),
    recall: percent(right, images),
    f1: percent(2 * right, images + answered),
  };
}

/** @param results of at least one class with images */
export function macroScores(results: readonly ClassResult[]): MacroScores {
  const present = results.filter(({ images }) => images > 0);
  const scores = present.map(classScores);
  const mean = (of: (score: ClassScores) => number | null): number =>
    scores.reduce((sum, score) => sum + (of(score) ?? 0), 0) / scores.length;
  return {
    classes: present.length,
    precision: mean(({ precision }) => precision),
    recall: mean(({ recall }) => recall),
    f1: mean(({ f1 }) => f1),
    neverAnswered: present.filter(({ answered }) => answered === 0).length,
  };
}
