/** Which classes of two models are the same: by name, by number where names say nothing, and told where they contradict. */
import { describe, expect, test } from "vitest";
import type { ClassMatch } from "../../src/models/match-classes.ts";
import { matchClasses, reorderClasses } from "../../src/models/match-classes.ts";

const match = (model: readonly string[] | undefined, wanted: readonly string[] | undefined): ClassMatch =>
  matchClasses(
    { numClasses: model?.length ?? 4, classes: model },
    { numClasses: wanted?.length ?? 4, classes: wanted },
  );
const ANIMALS = ["cat", "golden_retriever", "zebra", "ant"];

describe("taken by number without a word", () => {
  test.each([
    ["no names", undefined],
    ["numbers", ["0", "1", "2", "3"]],
    ["placeholders", ["class 0", "class 1", "class 2", "class 3"]],
    ["transformers' placeholders", ["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"]],
    ["WordNet's ids", ["n02123045", "n02099601", "n02391049", "n02219486"]],
  ])("%s", (_, names) => {
    expect(match(names, ANIMALS)).toEqual({ order: undefined });
    expect(match(ANIMALS, names)).toEqual({ order: undefined });
    expect(match(names, names)).toEqual({ order: undefined });
  });
});

test("names that have nothing in common are told", () => {
  expect(match(["fruit0", "fruit1", "fruit2", "fruit3"], ANIMALS)).toEqual({
    order: undefined,
    unlike: "cat = fruit0, golden_retriever = fruit1, zebra = fruit2, …",
  });
  expect(match(["Katze", "Hund"], ["cat", "dog"])).toEqual({
    order: undefined,
    unlike: "cat = Katze, dog = Hund",
  });
});

test("names in another order are matched, and those without a partner are missing", () => {
  expect(match(["Zebra", "ant", "cat", "golden retriever"], ANIMALS)).toEqual({
    order: Int32Array.of(2, 3, 0, 1),
  });
  expect(match(["zebra", "ant", "cat", "dog"], ANIMALS)).toEqual({ missing: ["golden_retriever"] });
  const order = Int32Array.of(2, 0);
  expect([...reorderClasses(Float32Array.of(1, 2, 3, 4, 5, 6), { order, numClasses: 3 })]).toEqual([
    3, 1, 6, 4,
  ]);
});
