/** ONNX classifiers whose scores are a matrix times the mean colour, and what they must answer. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { openClassifier } from "../../../src/evaluation/classifier.ts";
import { createRandom } from "../../../src/random.ts";
import { temporaryFolder } from "../../data/temporary.ts";
import type { GraphFile, Step } from "../../helpers/onnx-graph.ts";
import { graphFile } from "../../helpers/onnx-graph.ts";

export const MATRIX = [
  [3, -1, 0.5],
  [-2, 2, 1],
  [0.5, 0.5, -3],
];
export const COLUMN = [[4], [-4], [1]];

export async function write(file: GraphFile, classes?: readonly string[]): Promise<string> {
  const path = join(await temporaryFolder(), "model.onnx");
  const metadata = classes && { classes: JSON.stringify(classes) };
  await writeFile(path, graphFile({ ...file, ...(metadata && { metadata }) }));
  return path;
}

export const IMAGES = 5;
export const random = createRandom(1);
export const pixels = Uint8Array.from({ length: IMAGES * 3 }, () => random.integer(256)).reduce<number[]>(
  (all, value) => [...all, ...Array.from({ length: 64 }, () => value)],
  [],
);
export const mean: readonly [number, number, number] = [0, 0, 0];
export const std: readonly [number, number, number] = [1, 1, 1];

/** The scores [n, K] of the matrix, in float64. */
export function scores(matrix: readonly (readonly number[])[]): number[][] {
  return Array.from({ length: IMAGES }, (_, row) => {
    const means = [0, 1, 2].map((channel) => (pixels[(row * 3 + channel) * 64] ?? 0) / 255);
    return (matrix[0] ?? []).map((_, k) => means.reduce((sum, x, i) => sum + x * (matrix[i]?.[k] ?? 0), 0));
  });
}

export function softmax(row: readonly number[]): number[] {
  const exp = row.map(Math.exp);
  const total = exp.reduce((sum, value) => sum + value, 0);
  return exp.map((value) => value / total);
}

/** What the opened file's logits are as probabilities, and its notes. */
export async function answered(
  file: string,
): Promise<{ shares: number[][]; notes: readonly string[]; labels: readonly string[] }> {
  await using classifier = await openClassifier(file, {
    device: "cpu",
    preprocessing: { mean, std, cropRatio: 1 },
  });
  const { class: logits } = await classifier.logits(Uint8Array.from(pixels));
  const { numClasses, notes, labels } = classifier;
  const shares = Array.from({ length: IMAGES }, (_, i) =>
    softmax([...logits.subarray(i * numClasses, (i + 1) * numClasses)]),
  );
  return { shares, notes, labels };
}

export function expectClose(found: readonly number[][], expected: readonly number[][], off = 1e-5): void {
  expect(found.length).toBe(expected.length);
  for (const [i, row] of expected.entries())
    for (const [k, value] of row.entries())
      expect(Math.abs((found[i]?.[k] ?? NaN) - value)).toBeLessThan(off);
}

export const last = (...steps: Step[]): Step[] => [["Softmax", ["scores"], "p", { axis: 1 }], ...steps];
export const FLOAT16 = 10;
export const DOUBLE = 11;
