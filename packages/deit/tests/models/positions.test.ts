/** Position embeddings at other resolutions against PyTorch's (tests/golden/positions/record.py). */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CheckpointError } from "../../src/errors.ts";
import type { PositionGrids } from "../../src/models/positions.ts";
import { interpolatePositions } from "../../src/models/positions.ts";
import { expectClose } from "../graph/compare.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededTensor, unpack } from "../helpers/seeded.ts";

const golden: {
  readonly width: number;
  readonly cases: readonly (PositionGrids & { readonly result: PackedTensor })[];
} = JSON.parse(readFileSync(new URL("../golden/positions/positions.json", import.meta.url), "utf8"));

describe("interpolated position embeddings", () => {
  test.each(golden.cases)("$from to $to, $prefix tokens before", ({ result, ...grids }) => {
    const { prefix, from } = grids;
    const length = (prefix + from[0] * from[1]) * golden.width;
    const positions = seededTensor("pos_embed", length, { offset: 0, scale: 2 });
    expectClose(interpolatePositions(positions, grids), unpack(result), { tolerance: 1e-6 });
  });

  test("the same grid changes nothing", () => {
    const positions = seededTensor("pos_embed", 20 * 3, { offset: 0, scale: 2 });
    const grids = { prefix: 4, from: [4, 4], to: [4, 4] } as const;
    expect(interpolatePositions(positions, grids)).toEqual(positions);
  });

  test("numbers that are no such embeddings", () => {
    const grids = { prefix: 1, from: [4, 4], to: [6, 6] } as const;
    expect(() => interpolatePositions(new Float32Array(18), grids)).toThrow(CheckpointError);
  });
});
