/** The Pareto front: points that no other beats in both directions. */

/**
 * Points to which no other is at least equal in both and better in one, by rising x. Larger is better; of x `better` can be
 * less. Equal points are all on it.
 */
export function paretoFront<Point extends { readonly x: number; readonly y: number }>(
  points: readonly Point[],
  { better = "more" }: { better?: "more" | "less" } = {},
): Point[] {
  const sign = better === "more" ? 1 : -1;
  const sorted = points.toSorted((a, b) => sign * (b.x - a.x) || b.y - a.y);
  const front: Point[] = [];
  for (const point of sorted) {
    const last = front.at(-1);
    const isEqual = last !== undefined && last.x === point.x && last.y === point.y;
    if (last === undefined || point.y > last.y || isEqual) front.push(point);
  }
  return better === "more" ? front.toReversed() : front;
}
