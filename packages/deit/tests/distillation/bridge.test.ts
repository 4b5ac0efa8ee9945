/** The student's pixels under the teacher's normalisation and at its resolution. */
import { expect, test } from "vitest";
import { IMAGENET_NORMALISATION } from "../../src/augmentation/normalisation.ts";
import { resize, resizeMatrix } from "../../src/augmentation/resize.ts";
import { bridge } from "../../src/distillation/bridge.ts";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { createRandom } from "../../src/random.ts";
import { expectClose } from "../graph/compare.ts";

const plain = { mean: [0, 0, 0], std: [1, 1, 1] } as const;

/** An image's bytes, planar. */
function planes({ data }: { data: Uint8Array }): Float32Array {
  const pixels = data.length / 3;
  return Float32Array.from(
    { length: data.length },
    (_, i) => data[(i % pixels) * 3 + Math.floor(i / pixels)] ?? 0,
  );
}

function bridged(
  pixels: Float32Array,
  size: [number, number],
  to: Parameters<typeof bridge>[2],
): Float64Array {
  const x = input("x", "float32", [1, 3, ...size]);
  return evaluate([bridge(x, plain, to)], { x: pixels })[0] ?? new Float64Array();
}

test("nothing is done where both agree", () => {
  const x = input("x", "float32", [1, 3, 4, 4]);
  expect(bridge(x, plain, { normalisation: plain, inputSize: [4, 4] })).toBe(x);
});

test("normalisation: the student's undone, the teacher's applied", () => {
  const pixels = Float32Array.of(0.1, 0.5, 0.9);
  const { mean, std } = IMAGENET_NORMALISATION;
  const expected = [0, 1, 2].map((c) => ((pixels[c] ?? 0) - (mean[c] ?? 0)) / (std[c] ?? 1));
  const got = bridged(pixels, [1, 1], { normalisation: IMAGENET_NORMALISATION, inputSize: [1, 1] });
  expectClose(got, expected, { tolerance: 1e-6 });
});

test.each([
  [
    [12, 9],
    [20, 15],
  ],
  [
    [24, 16],
    [10, 6],
  ],
] as const)("resolution: as images are resized elsewhere, %o to %o", ([height, width], [rows, columns]) => {
  const random = createRandom(1, "picture");
  const image = {
    width,
    height,
    data: Uint8Array.from({ length: width * height * 3 }, () => 60 + random.integer(120)),
  };
  const resized = planes(resize(image, { width: columns, height: rows, interpolation: "bicubic" }));
  const got = bridged(planes(image), [height, width], { normalisation: plain, inputSize: [rows, columns] });
  for (const [i, value] of resized.entries())
    expect(Math.abs((got[i] ?? Number.NaN) - value)).toBeLessThan(1.01); // bytes in between
});

test("every row of a filter adds up to 1", () => {
  const matrix = resizeMatrix(7, 12);
  for (let row = 0; row < 12; row++)
    expect(matrix.subarray(row * 7, (row + 1) * 7).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
});
