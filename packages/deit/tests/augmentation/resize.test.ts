import { describe, expect, it } from "vitest";
import { crop } from "../../src/augmentation/crop.ts";
import type { RgbImage } from "../../src/augmentation/rgb-image.ts";
import { type Interpolation, resize } from "../../src/augmentation/resize.ts";
import golden from "../golden/pil/resize.json" with { type: "json" };
import { generate, type Kind, sha } from "./generated.ts";

type Case = [
  number,
  number,
  Kind,
  number,
  number,
  Interpolation,
  [number, number, number, number] | null,
  string,
];
const REGENERATE = "recorded by python tests/golden/pil/record.py";

describe("resize is Pillow's, bit for bit", () => {
  const groups = Map.groupBy(
    golden.cases as Case[],
    ([width, height, kind, , , , box]) => `${width}×${height} ${kind}${box ? " with a box" : ""}`,
  );
  it.each([...groups])("%s", (_, cases) => {
    let image: RgbImage | undefined;
    for (const [width, height, kind, toWidth, toHeight, interpolation, box, expected] of cases) {
      image ??= generate(width, height, kind);
      const result = resize(image, {
        width: toWidth,
        height: toHeight,
        interpolation,
        box: box ?? undefined,
      });
      expect([result.width, result.height]).toEqual([toWidth, toHeight]);
      expect(
        sha(result),
        `${width}×${height} ${kind} → ${toWidth}×${toHeight} ${interpolation} ${box}; ${REGENERATE}`,
      ).toBe(expected);
    }
  });
});

describe("parts", () => {
  const image = generate(97, 61, "noise");

  it("a region is a crop beforehand", () => {
    for (const region of [
      { left: 0, top: 0, width: 97, height: 61 },
      { left: 13, top: 8, width: 40, height: 51 },
      { left: 96, top: 60, width: 1, height: 1 },
    ]) {
      for (const [width, height] of [
        [24, 24],
        [40, 51],
        [40, 20],
        [20, 51],
        [200, 3],
      ] as const)
        expect(resize(image, { width, height, region })).toEqual(
          resize(crop(image, region), { width, height }),
        );
    }
  });

  it("a window is a crop afterwards", () => {
    const window = { left: 5, top: 3, width: 20, height: 11 };
    for (const [width, height] of [
      [30, 30],
      [97, 61],
      [97, 20],
      [50, 61],
      [300, 14],
      [90, 14],
      [90, 50],
      [90, 30],
    ] as const) {
      const region = { left: 2, top: 4, width: 90, height: 50 };
      expect(resize(image, { width, height, window })).toEqual(
        crop(resize(image, { width, height }), window),
      );
      expect(resize(image, { width, height, window, region })).toEqual(
        crop(resize(image, { width, height, region }), window),
      );
    }
  });

  it("never hands out the source's memory", () => {
    const same = resize(image, { width: 97, height: 61 });
    expect(same).toEqual(image);
    same.data[0] = 255 - (image.data[0] ?? 0);
    expect(same).not.toEqual(image);
  });

  it("refuses what it cannot do", () => {
    expect(() => resize(image, { width: 0, height: 3 })).toThrow(/0×3/);
    expect(() =>
      resize(image, { width: 3, height: 3, region: { left: 90, top: 0, width: 8, height: 3 } }),
    ).toThrow(/region 8×3 at \(90, 0\)/);
    expect(() =>
      resize(image, { width: 3, height: 3, window: { left: 2, top: 0, width: 2, height: 3 } }),
    ).toThrow(/window/);
    expect(() => resize(image, { width: 3, height: 3, box: [0, 0, 98, 3] })).toThrow(/box/);
    expect(() => resize(image, { width: 3, height: 3, box: [5, 5, 5, 8] })).toThrow(/box/);
  });
});
