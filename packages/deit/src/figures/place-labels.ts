/**
 * Names beside the points of a chart so that none covers another or a point: each takes the cheapest of some places
 * around its point, over and over until nobody moves. All in pixels, y downwards.
 */
import { textWidth } from "./text.ts";

type Point = readonly [x: number, y: number];

export interface LabelledPoint {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  readonly label: string;
}

export interface PlacedLabel {
  /** Index of the point. */
  readonly point: number;
  readonly label: string;
  /** Where the middle of the line of text stands: at its start, its end or its middle. */
  readonly x: number;
  readonly y: number;
  readonly anchor: "start" | "middle" | "end";
  /** From the point's edge to a label that stands away from it. */
  readonly leader?: readonly [from: Point, to: Point];
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

interface Place extends PlacedLabel {
  readonly box: Box;
  /** Points along the leader. */
  readonly path: readonly Point[];
  /** What it costs by itself: distance, points that it covers. */
  readonly cost: number;
}

/** From the point's edge to its name; beyond the first a line leads there. */
const DISTANCES = [4, 14, 26, 40, 58, 80, 104];
const NEAR = 4;
/** In quarter turns: right first, then above and below, left, and between. */
const DIRECTIONS = [0, -1, 1, 2, -0.5, 0.5, -1.5, 1.5].map((turns) => (turns * Math.PI) / 2);
/** A pixel of overlap costs more than any distance. */
const OVERLAP_COST = 100;
const LINE_COST = 150;
/** Of a stretch of a line of the chart below a name. */
const BEHIND_COST = 8;
const STRETCH = 6;
const PASSES = 6;

export interface PlaceOptions {
  /** Of the chart. */
  readonly width: number;
  readonly height: number;
  readonly fontSize: number;
  /** Lines that names had better not stand on. */
  readonly lines?: readonly (readonly Point[])[];
}

/** @returns the labels that have a place; those that would cover another in every place are left out */
export function placeLabels(
  points: readonly LabelledPoint[],
  { lines = [], ...chart }: PlaceOptions,
): PlacedLabel[] {
  const stretches = lines.flatMap(sampled);
  const places = points.map((point, index) => placesOf(point, { index, points, stretches, ...chart }));
  const chosen: (Place | undefined)[] = places.map(([first]) => first);
  const costOf = (place: Place, index: number): number =>
    place.cost + chosen.reduce((sum, other, j) => sum + (j === index || !other ? 0 : clash(place, other)), 0);
  for (let pass = 0; pass < PASSES; pass++) {
    let moved = false;
    for (const [index, candidates] of places.entries()) {
      const best = candidates.reduce((a, b) => (costOf(b, index) < costOf(a, index) ? b : a));
      if (best !== chosen[index]) moved = true;
      chosen[index] = best;
    }
    if (!moved) break;
  }
  // what still covers another moves to where there is room, however far, or goes
  for (const [index, place] of chosen.entries()) {
    const isFree = ({ box }: Place): boolean =>
      !chosen.some((other, j) => j !== index && other !== undefined && overlap(box, other.box) > 0);
    if (place === undefined || isFree(place)) continue;
    const free = places[index]?.filter(isFree) ?? [];
    chosen[index] = free.toSorted((a, b) => costOf(a, index) - costOf(b, index))[0];
  }
  return chosen.flatMap((place) => {
    if (place === undefined) return [];
    const { point, label, x, y, anchor, leader } = place;
    return [{ point, label, x, y, anchor, ...(leader && { leader }) }];
  });
}

/** Points along a line, a stretch apart. */
function sampled(line: readonly Point[]): Point[] {
  return line.slice(1).flatMap(([x1, y1], i) => {
    const [x0, y0] = line[i] ?? [x1, y1];
    const steps = Math.ceil(Math.hypot(x1 - x0, y1 - y0) / STRETCH);
    return Array.from({ length: steps }, (_, step): Point => {
      const t = step / steps;
      return [x0 + t * (x1 - x0), y0 + t * (y1 - y0)];
    });
  });
}

function placesOf(
  { x, y, radius, label }: LabelledPoint,
  {
    index,
    points,
    stretches,
    width,
    height,
    fontSize,
  }: Omit<PlaceOptions, "lines"> & {
    index: number;
    points: readonly LabelledPoint[];
    stretches: readonly Point[];
  },
): Place[] {
  const long = textWidth(label, { size: fontSize });
  return DISTANCES.flatMap((distance, far) =>
    DIRECTIONS.map((angle, order): Place => {
      const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
      const anchor = dx > 0.1 ? "start" : dx < -0.1 ? "end" : "middle";
      const reach = radius + distance + (anchor === "middle" ? fontSize / 2 : 0);
      const [atX, atY] = [x + dx * reach, y + dy * reach];
      const left = atX - { start: 0, middle: long / 2, end: long }[anchor];
      const box = { left, right: left + long, top: atY - fontSize * 0.55, bottom: atY + fontSize * 0.55 };
      const outside = Math.max(0, -box.left, box.right - width) + Math.max(0, -box.top, box.bottom - height);
      const covered = points.reduce(
        (sum, point, j) => sum + (j === index ? 0 : overlap(box, around(point))),
        0,
      );
      const behind = stretches.filter((point) => contains(box, point)).length;
      const leader: PlacedLabel["leader"] =
        distance > NEAR
          ? [
              [x + dx * radius, y + dy * radius],
              [x + dx * (radius + distance - 2), y + dy * (radius + distance - 2)],
            ]
          : undefined;
      return {
        point: index,
        label,
        x: atX,
        y: atY,
        anchor,
        box,
        path: leader === undefined ? [] : [...sampled(leader), leader[1]],
        cost:
          distance +
          order * 1.5 +
          far * 6 +
          BEHIND_COST * behind +
          OVERLAP_COST * (covered + outside * fontSize),
        ...(leader && { leader }),
      };
    }),
  );
}

function clash(a: Place, b: Place): number {
  const crossed = (lineCuts(a, b.box) ? 1 : 0) + (lineCuts(b, a.box) ? 1 : 0);
  return OVERLAP_COST * overlap(a.box, b.box) + LINE_COST * crossed;
}

/** Whether a label's leader goes through a box. */
function lineCuts({ path }: Place, box: Box): boolean {
  return path.some((point) => contains(box, point));
}

function contains({ left, right, top, bottom }: Box, [x, y]: Point): boolean {
  return x > left && x < right && y > top && y < bottom;
}

function around({ x, y, radius }: LabelledPoint): Box {
  return { left: x - radius, right: x + radius, top: y - radius, bottom: y + radius };
}

/** Area that two boxes share. */
function overlap(a: Box, b: Box): number {
  const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return wide > 0 && high > 0 ? wide * high : 0;
}
