/**
 * Whether a model's confidence means what it says: of the answers given with 80 %, 80 % should be right.
 * As Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017), §2, with its 15 bins.
 */

/** The answers whose confidence lies in (from, to]. */
export interface CalibrationBin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** Mean confidence of these answers, 0 to 1; NaN for an empty bin. */
  readonly confidence: number;
  /** Share of them that is right; NaN for an empty bin. */
  readonly accuracy: number;
}

export interface Calibration {
  /** Expected calibration error: the mean over answers of |accuracy − confidence| of their bin, 0 to 1. */
  readonly ece: number;
  /** Mean confidence − accuracy of all answers: above 0 the model is surer than it should be. */
  readonly overconfidence: number;
  readonly bins: readonly CalibrationBin[];
}

/**
 * Calibration of top-1 answers: ECE = Σ over bins of (bin's count / n) · |bin's accuracy − bin's confidence|,
 * over `bins` bins of equal width, bin m being ((m − 1)/M, m/M].
 * @param confidence [n] probability of the class that was answered, above 0 up to 1; a NaN is not counted
 * @param right whether answer i is right
 */
export function calibrate(
  confidence: Float64Array,
  right: (index: number) => boolean,
  { bins = 15 }: { bins?: number } = {},
): Calibration {
  const counts = new Float64Array(bins);
  const confidences = new Float64Array(bins);
  const rights = new Float64Array(bins);
  for (const [i, value] of confidence.entries()) {
    if (Number.isNaN(value)) continue;
    const bin = Math.min(bins - 1, Math.max(0, Math.ceil(value * bins) - 1));
    counts[bin] = (counts[bin] ?? 0) + 1;
    confidences[bin] = (confidences[bin] ?? 0) + value;
    rights[bin] = (rights[bin] ?? 0) + Number(right(i));
  }
  const total = sum(counts);
  return {
    ece: sum(counts.map((_, bin) => Math.abs((rights[bin] ?? 0) - (confidences[bin] ?? 0)))) / total,
    overconfidence: (sum(confidences) - sum(rights)) / total,
    bins: Array.from(counts, (count, bin) => ({
      from: bin / bins,
      to: (bin + 1) / bins,
      count,
      confidence: (confidences[bin] ?? 0) / count,
      accuracy: (rights[bin] ?? 0) / count,
    })),
  };
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
