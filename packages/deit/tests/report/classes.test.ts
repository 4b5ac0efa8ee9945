import { expect, test } from "vitest";
import { createRandom } from "../../src/random.ts";
import { classesSection } from "../../src/report/classes.ts";

function section(numClasses: number): string {
  const random = createRandom(1);
  const labels = Int32Array.from({ length: 20 * numClasses }, (_, i) => i % numClasses);
  const predicted = labels.map((label) => (random.uniform() < 0.5 ? label : random.integer(numClasses)));
  return classesSection({ labels, predicted, numClasses, classes: ["first"] }).text;
}

test("few classes have a matrix with a cell for each pair", () => {
  const text = section(4);
  expect(text).toContain(`<table class="matrix">`);
  expect(text.match(/--fill:/g)).toHaveLength(16);
  expect(text).toContain(">first<");
  expect(text).not.toContain("<details>");
});

test("many classes have the table of mistakes, the weakest classes, and the others on demand", () => {
  const text = section(1000);
  expect(text).not.toContain('matrix">');
  expect(text).toContain("1,000 classes would be too large");
  expect(text.match(/<tr>/g)).toHaveLength(13);
  expect(text).toContain("The other 980 classes");
  expect(text.match(/<li /g)).toHaveLength(1000);
});

test("nothing wrong is said so", () => {
  const labels = Int32Array.of(0, 1);
  expect(classesSection({ labels, predicted: labels, numClasses: 2, classes: [] }).text).toContain(
    "None: every image was recognised.",
  );
});
