/** Labels of points: none covers another, a point or the edge, and each stands with its own point. */
import { describe, expect, test } from "vitest";
import type { LabelledPoint, PlacedLabel } from "../../src/figures/place-labels.ts";
import { placeLabels } from "../../src/figures/place-labels.ts";
import { textWidth } from "../../src/figures/text.ts";
import { createRandom } from "../../src/random.ts";

const chart = { width: 460, height: 380, fontSize: 11 };

function boxOf({
  x,
  y,
  anchor,
  label,
}: PlacedLabel): [left: number, top: number, right: number, bottom: number] {
  const long = textWidth(label, { size: chart.fontSize });
  const left = x - { start: 0, middle: long / 2, end: long }[anchor];
  return [left, y - 6, left + long, y + 6];
}

const meets = (a: readonly number[], b: readonly number[]): boolean =>
  Math.min(a[2] ?? 0, b[2] ?? 0) - Math.max(a[0] ?? 0, b[0] ?? 0) > 0.01 &&
  Math.min(a[3] ?? 0, b[3] ?? 0) - Math.max(a[1] ?? 0, b[1] ?? 0) > 0.2;

function cloud(count: number, seed: number): LabelledPoint[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, i) => ({
    x: random.uniform(30, 430),
    y: random.uniform(20, 360),
    radius: random.uniform(3, 12),
    label: `model number ${i}`,
  }));
}

describe("placeLabels", () => {
  test("a point by itself has its label to the right, without a line", () => {
    const [label] = placeLabels([{ x: 100, y: 100, radius: 5, label: "DeiT-Ti" }], chart);
    expect(label).toMatchObject({ point: 0, anchor: "start", x: 109, y: 100 });
    expect(label?.leader).toBeUndefined();
  });

  test("at the right edge the label is inside", () => {
    const [label] = placeLabels([{ x: 455, y: 100, radius: 4, label: "DeiT-Ti" }], chart);
    expect(boxOf(label as PlacedLabel)[2]).toBeLessThanOrEqual(460);
  });

  test.each([0, 1, 2])("of 25 points no two labels meet, and none is left out (seed %i)", (seed) => {
    const points = cloud(25, seed);
    const labels = placeLabels(points, chart);
    expect(labels).toHaveLength(25);
    for (const [i, a] of labels.entries())
      for (const b of labels.slice(i + 1))
        expect(meets(boxOf(a), boxOf(b)), `${a.label} | ${b.label}`).toBe(false);
  });

  test("of labels that have no room some are left out, and the rest do not meet", () => {
    const points = Array.from({ length: 40 }, (_, i) => ({
      x: 200 + (i % 3),
      y: 200,
      radius: 4,
      label: `a rather long name of a model ${i}`,
    }));
    const labels = placeLabels(points, chart);
    expect(labels.length).toBeGreaterThan(5);
    expect(labels.length).toBeLessThan(40);
    for (const [i, a] of labels.entries())
      for (const b of labels.slice(i + 1)) expect(meets(boxOf(a), boxOf(b))).toBe(false);
  });

  test("a label goes out of the way of a line", () => {
    const line = [
      [100, 100],
      [300, 100],
    ] as const;
    const [label] = placeLabels([{ x: 100, y: 100, radius: 4, label: "on the front" }], {
      ...chart,
      lines: [line],
    });
    const [left, top, right, bottom] = boxOf(label as PlacedLabel);
    expect(right <= 100 || left >= 300 || top >= 100 || bottom <= 100).toBe(true);
  });
});
