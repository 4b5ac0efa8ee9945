/** Images that look alike to a model: pairs whose features have a high cosine. Pure. */

/** Rows a < b and the cosine of their features. */
export interface Pair {
  readonly a: number;
  readonly b: number;
  readonly cosine: number;
}

/** Neighbours of each row that are looked at. */
const NEAREST = 6;

/**
 * The nearest rows of each row whose cosine is at least `least`, each pair once, the nearest pairs first.
 * @param data [n, width], row-major
 */
export function nearestPairs(data: Float32Array, width: number, least: number): Pair[] {
  const unit = normalised(data, width);
  const n = unit.length / width;
  const nearest: Pair[][] = Array.from({ length: n }, () => []);
  const note = (row: number, pair: Pair): void => {
    const own = nearest[row];
    if (own === undefined || (own.length === NEAREST && pair.cosine <= (own.at(-1)?.cosine ?? 1))) return;
    const at = own.findIndex(({ cosine }) => pair.cosine > cosine);
    own.splice(at < 0 ? own.length : at, 0, pair);
    if (own.length > NEAREST) own.pop();
  };
  for (let a = 0; a < n; a++) {
    for (let b = a + 1; b < n; b++) {
      let cosine = 0;
      for (let i = 0, [p, q] = [a * width, b * width]; i < width; i++)
        cosine += (unit[p + i] as number) * (unit[q + i] as number);
      if (cosine < least) continue;
      const pair = { a, b, cosine };
      note(a, pair);
      note(b, pair);
    }
  }
  return [...new Set(nearest.flat())].toSorted((p, q) => q.cosine - p.cosine || p.a - q.a || p.b - q.b);
}

/** Rows of length 1, after the mean of all is taken away: what all images share says nothing of a pair. */
function normalised(data: Float32Array, width: number): Float32Array {
  const n = data.length / width;
  const mean = new Float64Array(width);
  for (let i = 0; i < data.length; i++) mean[i % width] = (mean[i % width] ?? 0) + (data[i] ?? 0) / n;
  const unit = data.map((value, i) => value - (mean[i % width] ?? 0));
  for (let row = 0; row < n; row++) {
    const own = unit.subarray(row * width, (row + 1) * width);
    const norm = Math.hypot(...own) || 1;
    for (let i = 0; i < width; i++) own[i] = (own[i] ?? 0) / norm;
  }
  return unit;
}

/** Group of each of n rows when paired rows belong together: the lowest row of its group. [n] */
export function groupsOf(n: number, pairs: readonly Pick<Pair, "a" | "b">[]): Int32Array {
  const group = Int32Array.from({ length: n }, (_, row) => row);
  const rootOf = (row: number): number => {
    let root = row;
    while (group[root] !== root) root = group[root] ?? root;
    return root;
  };
  for (const { a, b } of pairs) {
    const [p, q] = [rootOf(a), rootOf(b)];
    group[Math.max(p, q)] = Math.min(p, q);
  }
  return group.map((_, row) => rootOf(row));
}
