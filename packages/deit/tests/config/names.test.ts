import { expect, it } from "vitest";
import { camelCase, didYouMean, editDistance, kebabCase, nearest } from "../../src/config/names.ts";

it.each([
  ["dropPath", "drop-path"],
  ["drop_path", "drop-path"],
  ["drop-path", "drop-path"],
  ["ThreeAugment", "three-augment"],
  ["lr", "lr"],
])("%s in kebab case is %s", (name, kebab) => {
  expect(kebabCase(name)).toBe(kebab);
});

it("camel case undoes kebab case", () => {
  for (const name of ["dropPath", "lr", "evalCropRatio"]) expect(camelCase(kebabCase(name))).toBe(name);
});

it.each([
  ["", "abc", 3],
  ["kitten", "sitting", 3],
  ["train", "trian", 1],
  ["abc", "abc", 0],
  ["lr", "wd", 2],
])("from %s to %s is %d edits", (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
  expect(editDistance(b, a)).toBe(distance);
});

it("suggests what is near and nothing else", () => {
  const names = ["epochs", "lr", "batch-size"];
  expect(nearest("epoch", names)).toBe("epochs");
  expect(nearest("Batch-Sise", names)).toBe("batch-size");
  expect(nearest("momentum", names)).toBeUndefined();
  expect(didYouMean("xyz", names)).toBe("");
});
