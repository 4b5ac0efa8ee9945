/** Means over seeds, and differences of rows that are paired by seed, with their 95 % t-intervals. Pure. */

/** One number of one training. */
export interface Measured {
  /** Line of the table. */
  readonly line: string;
  readonly seed: number;
  readonly value: number;
}

/** What is told of a line: how much it is, and how far it is from another one. */
export interface Comparison {
  /** For people; a line that is compared with several has a name for each. */
  readonly name: string;
  readonly line: string;
  readonly against: string | undefined;
}

export interface Summary {
  readonly name: string;
  readonly line: string;
  readonly seeds: readonly number[];
  readonly mean: number;
  /** Half of the mean's 95 % t-interval; null for a single seed. */
  readonly half: number | null;
  /** Standard deviation over seeds; null for a single one. */
  readonly deviation: number | null;
  /** Over the seeds that both have; null for the baseline itself, and without such seeds. */
  readonly difference: Difference | null;
}

export interface Difference {
  readonly against: string;
  readonly pairs: number;
  readonly mean: number;
  /** Half of the 95 % interval, t with pairs − 1 degrees of freedom: a mean difference below it could not have been found. Null for one pair. */
  readonly half: number | null;
  /** Whether the interval leaves out 0. */
  readonly found: boolean;
}

/** In the order of `comparisons`, without those that nothing was measured of. */
export function summarise(measured: readonly Measured[], comparisons: readonly Comparison[]): Summary[] {
  return comparisons.flatMap(({ name, line, against }): Summary[] => {
    const own = measured.filter((one) => one.line === line);
    if (own.length === 0) return [];
    const base = new Map(
      measured.filter(({ line }) => line === against).map(({ seed, value }) => [seed, value]),
    );
    const pairs = own.flatMap(({ seed, value }) => {
      const there = base.get(seed);
      return there === undefined ? [] : [value - there];
    });
    const values = own.map(({ value }) => value);
    return [
      {
        name,
        line,
        seeds: own.map(({ seed }) => seed),
        mean: meanOf(values),
        half: halfInterval(values),
        deviation: values.length > 1 ? deviationOf(values) : null,
        difference:
          against === undefined || against === line || pairs.length === 0
            ? null
            : differenceOf(pairs, against),
      },
    ];
  });
}

function differenceOf(pairs: readonly number[], against: string): Difference {
  const mean = meanOf(pairs);
  const half = halfInterval(pairs);
  return { against, pairs: pairs.length, mean, half, found: half !== null && Math.abs(mean) > half };
}

/** Half of the 95 % t-interval of a mean; null for fewer than two values. */
export function halfInterval(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  return (tQuantile(values.length - 1) * deviationOf(values)) / Math.sqrt(values.length);
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviationOf(values: readonly number[]): number {
  const mean = meanOf(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}

/** What |t| of `freedom` degrees stays below with the given probability: 12.71, 4.30, 3.18, … */
export function tQuantile(freedom: number, probability = 0.95): number {
  let [low, high] = [0, 1e4];
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (inside(middle, freedom) < probability) low = middle;
    else high = middle;
  }
  return high;
}

/** P(|T| < t), by the finite sums for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4). */
function inside(t: number, freedom: number): number {
  const angle = Math.atan(t / Math.sqrt(freedom));
  const cosine = Math.cos(angle);
  const isOdd = freedom % 2 === 1;
  let term = isOdd ? cosine : 1;
  let sum = 0;
  for (let i = isOdd ? 1 : 0; i <= freedom - 2; i += 2) {
    sum += term;
    term *= ((i + 1) / (i + 2)) * cosine ** 2;
  }
  return isOdd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
}
