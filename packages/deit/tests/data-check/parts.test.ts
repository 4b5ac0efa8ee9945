/** The measures behind `deit data check`, on data whose answer is known. */
import { describe, expect, it } from "vitest";
import { findLabelErrors } from "../../src/data-check/label-errors.ts";
import type { Thumbnail } from "../../src/data-check/near-copies.ts";
import { COARSE, FINE, matchOf, SAME_PHOTO } from "../../src/data-check/near-copies.ts";
import { groupsOf, nearestPairs } from "../../src/data-check/neighbours.ts";
import type { GreyImage } from "../../src/data-check/sharpness.ts";
import { blurOf } from "../../src/data-check/sharpness.ts";
import { createRandom } from "../../src/random.ts";

/** A scene of many blobs, seen from (left, top) with `span` units along the shorter side. */
function scene(
  seed: number,
  side: number,
  { left = 0, top = 0, span = 1, mirrored = false } = {},
): GreyImage {
  const random = createRandom(seed, "scene");
  const blobs = Array.from({ length: 60 }, () => ({
    x: random.uniform(),
    y: random.uniform(),
    size: random.uniform(0.02, 0.08),
    light: random.uniform(-90, 90),
  }));
  const data = new Float32Array(side * side);
  for (let i = 0; i < data.length; i++) {
    const column = mirrored ? side - 1 - (i % side) : i % side;
    const [x, y] = [
      left + (span * (column + 0.5)) / side,
      top + (span * (Math.floor(i / side) + 0.5)) / side,
    ];
    data[i] = blobs.reduce(
      (sum, blob) =>
        sum + blob.light * Math.exp(-((x - blob.x) ** 2 + (y - blob.y) ** 2) / (2 * blob.size ** 2)),
      128,
    );
  }
  return { width: side, height: side, data };
}

function thumbnailOf(seed: number, view: Parameters<typeof scene>[2] = {}): Thumbnail {
  return { coarse: scene(seed, COARSE, view), fine: scene(seed, FINE, view) };
}

describe("near copies", () => {
  it.each([
    { view: {}, overlap: 1 },
    { view: { left: 0.1, top: 0.05, span: 0.8 }, overlap: 0.64 },
    { view: { left: 0.3, top: 0.3, span: 0.65 }, overlap: 0.42 },
    { view: { mirrored: true, left: 0.05, top: 0.1, span: 0.85 }, overlap: 0.72 },
  ])("the same scene through another window: $view", ({ view, overlap }) => {
    for (const seed of [1, 2, 3]) {
      const [whole, part] = [thumbnailOf(seed), thumbnailOf(seed, view)];
      for (const match of [matchOf(whole, part), matchOf(part, whole)]) {
        expect(match.similarity).toBeGreaterThan(SAME_PHOTO);
        expect(Math.abs(match.overlap - overlap)).toBeLessThan(0.1); // 1 pixel of 48 is 4 % of the area
        expect(match.mirrored).toBe(view.mirrored ?? false);
      }
    }
  });

  it("other scenes are none", () => {
    const scenes = Array.from({ length: 8 }, (_, seed) => thumbnailOf(seed + 10));
    const best = scenes.flatMap((a, i) => scenes.slice(i + 1).map((b) => matchOf(a, b).similarity));
    expect(Math.max(...best)).toBeLessThan(0.6);
  });

  it("images of one colour are like nothing", () => {
    const plain = (side: number): GreyImage => ({
      width: side,
      height: side,
      data: new Float32Array(side ** 2),
    });
    const empty = { coarse: plain(COARSE), fine: plain(FINE) };
    expect(matchOf(empty, empty).similarity).toBe(0);
  });

  it("pairs of high cosine, and the groups that they make", () => {
    const rows = [[5, 0], [5, 0.1], [0, 5], [-5, 0.2], [-5, 0]].flat(); // prettier-ignore
    const pairs = nearestPairs(Float32Array.from(rows), 2, 0.9);
    expect(pairs.map(({ a, b }) => [a, b].join(" ")).toSorted()).toEqual(["0 1", "3 4"]);
    expect([...groupsOf(5, [...pairs, { a: 1, b: 3 }])]).toEqual([0, 0, 2, 0, 0]);
  });
});

describe("sharpness", () => {
  const sharp = scene(5, 200);
  const blurred = (image: GreyImage, times: number): GreyImage => {
    let { data } = image;
    for (let pass = 0; pass < times; pass++)
      for (const step of [1, image.width])
        data = data.map(
          (_, i) => [-2, -1, 0, 1, 2].reduce((sum, k) => sum + (data[i + k * step] ?? 128), 0) / 5,
        );
    return { ...image, data };
  };
  const edges: GreyImage = { ...sharp, data: sharp.data.map((value) => (value > 128 ? 200 : 40)) };

  it("grows with blurring", () => {
    const [own = 1, some = 0, much = 0] = [edges, blurred(edges, 2), blurred(edges, 12)].map(blurOf);
    expect(own).toBeLessThan(0.3);
    expect(some).toBeGreaterThan(own);
    expect(much).toBeGreaterThan(Math.max(0.5, some));
  });

  it("one sharp part is enough", () => {
    const half = blurred(edges, 12);
    const data = half.data.map((value, i) => (i % 200 < 100 && i < 100 * 200 ? (edges.data[i] ?? 0) : value));
    expect(blurOf({ ...half, data })).toBeLessThan(0.35);
  });

  it("calls an image without texture blurred, and says nothing of a few pixels", () => {
    const grey = (side: number): GreyImage => ({
      width: side,
      height: side,
      data: new Float32Array(side ** 2),
    });
    expect([blurOf(grey(100)), blurOf(grey(8))]).toEqual([1, undefined]);
  });
});

describe("label errors", () => {
  const width = 12;
  const numClasses = 4;
  const random = createRandom(1, "clusters");
  const truth = Int32Array.from({ length: 160 }, (_, row) => row % numClasses);
  const data = Float32Array.from(
    [...truth].flatMap((label) =>
      Array.from({ length: width }, (_, i) => (i % numClasses === label ? 3 : 0) + random.normal()),
    ),
  );
  const planted = [3, 40, 77, 101, 150];
  const labels = truth.map((label, row) => (planted.includes(row) ? (label + 1) % numClasses : label));

  it("finds planted ones, with the right class, the surest first", async () => {
    const { suspects, ranking, judged } = await findLabelErrors({ data, width, labels, numClasses });
    expect(judged).toBe(160);
    const found = suspects.map(({ row }) => row);
    expect(planted.every((row) => found.includes(row))).toBe(true);
    expect(suspects.length).toBeLessThan(12);
    for (const { row, suggested } of suspects) if (planted.includes(row)) expect(suggested).toBe(truth[row]);
    const odds = ranking.map(({ own, probability }) => own / probability);
    expect(odds).toEqual(odds.toSorted((a, b) => a - b));
  });

  it("copies of a wrong image do not vouch for each other", async () => {
    // row 3 six times: learnt from its copies, its wrong label would be believed
    const copies = Array.from({ length: 6 }, () => data.subarray(3 * width, 4 * width));
    const all = Float32Array.from([...data, ...copies.flatMap((row) => [...row])]);
    const own = Int32Array.from([...labels, ...copies.map(() => labels[3] ?? 0)]);
    const groups = Int32Array.from(own, (_, row) => (row >= 160 ? 3 : row));
    const rowsOf = async (given: { groups?: Int32Array }): Promise<number[]> =>
      (await findLabelErrors({ data: all, width, labels: own, numClasses, ...given })).suspects.map(
        ({ row }) => row,
      );
    expect(await rowsOf({ groups })).toEqual(expect.arrayContaining([3, 160, 165]));
    expect(await rowsOf({})).not.toContain(3);
  });

  it("classes of one or two images are not judged", async () => {
    const few = Int32Array.from([...labels.slice(0, 158), 4, 4]);
    const { judged, ranking } = await findLabelErrors({ data, width, labels: few, numClasses: 5 });
    expect([judged, ranking.some(({ row }) => row >= 158)]).toEqual([158, false]);
  });
});
