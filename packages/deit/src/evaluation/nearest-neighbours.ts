/** How well features tell classes apart without any training: an image takes the class of its nearest neighbours. Pure. */

/** n images: row i of `data` [n, width], row-major, belongs to label i. */
interface Features {
  readonly data: Float32Array;
  readonly width: number;
  readonly labels: Int32Array;
}

const NEIGHBOURS = [1, 3, 5, 10, 20] as const;

/** Votes by cosine, each neighbour's with its cosine as weight; k by leaving out one training image at a time. */
export function nearestNeighbours(
  learnt: Features,
  asked: Features,
  numClasses: number,
): { k: number; acc1: number } {
  const known = normalised(learnt);
  const tried = NEIGHBOURS.filter((k) => k < learnt.labels.length).map((k) => ({
    k,
    acc1: rate(known, { learnt, queries: known, labels: learnt.labels, numClasses, k, skipSelf: true }),
  }));
  const [best = { k: 1 }] = tried.toSorted((a, b) => b.acc1 - a.acc1);
  return {
    k: best.k,
    acc1: rate(known, { learnt, queries: normalised(asked), labels: asked.labels, numClasses, k: best.k }),
  };
}

/** Top-1 in percent when each image takes the class of its `k` nearest others. */
export function leaveOneOutAccuracy(features: Features, numClasses: number, k = 5): number {
  const known = normalised(features);
  return rate(known, {
    learnt: features,
    queries: known,
    labels: features.labels,
    numClasses,
    k,
    skipSelf: true,
  });
}

function rate(
  known: Float64Array,
  {
    learnt,
    queries,
    labels,
    numClasses,
    k,
    skipSelf = false,
  }: {
    learnt: Features;
    queries: Float64Array;
    labels: Int32Array;
    numClasses: number;
    k: number;
    skipSelf?: boolean;
  },
): number {
  const { width } = learnt;
  let right = 0;
  for (const [row, label] of labels.entries()) {
    const query = queries.subarray(row * width, (row + 1) * width);
    const nearest = neighboursOf(query, known, { k, skip: skipSelf ? row : -1, width });
    const votes = new Float64Array(numClasses);
    for (const { index, cosine } of nearest) {
      const neighbour = learnt.labels[index] ?? 0;
      votes[neighbour] = (votes[neighbour] ?? 0) + Math.max(0, cosine) + 1e-9;
    }
    if (votes.indexOf(Math.max(...votes)) === label) right++;
  }
  return (100 * right) / labels.length;
}

/** Rows of length 1. */
function normalised({ data, width, labels }: Features): Float64Array {
  const unit = Float64Array.from(data);
  for (let row = 0; row < labels.length; row++) {
    const own = unit.subarray(row * width, (row + 1) * width);
    const norm = Math.hypot(...own) || 1;
    for (let i = 0; i < width; i++) own[i] = (own[i] ?? 0) / norm;
  }
  return unit;
}

function neighboursOf(
  query: Float64Array,
  known: Float64Array,
  { k, skip, width }: { k: number; skip: number; width: number },
): { index: number; cosine: number }[] {
  const nearest: { index: number; cosine: number }[] = [];
  for (let index = 0; index < known.length / width; index++) {
    if (index === skip) continue;
    let cosine = 0;
    for (let i = 0; i < width; i++) cosine += (known[index * width + i] as number) * (query[i] as number);
    if (nearest.length === k && cosine <= (nearest[k - 1]?.cosine ?? 0)) continue;
    const at = nearest.findIndex((other) => cosine > other.cosine);
    nearest.splice(at < 0 ? nearest.length : at, 0, { index, cosine });
    if (nearest.length > k) nearest.pop();
  }
  return nearest;
}
