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
  expect(text).toMatch(/>first</);
  expect(text).not.toContain("<details>");
});

test("many classes have the table of mistakes, the weakest classes, and the others on demand", () => {
  const text = section(1000);
  expect(text).not.toContain('matrix">');
  expect(text).toContain("1,000 classes would be too large");
  expect(text).toContain("The other 980 classes");
  expect(text.match(/class="cut"/g)).toHaveLength(1000);
});

/** The rows of the table of classes as text: name, images, recall, answers, precision, F1. */
function rowsOf(text: string): string[] {
  const table = text.slice(text.indexOf('<table class="classes">'), text.indexOf("</table>"));
  return table
    .split("<tr")
    .slice(2)
    .map((row) =>
      row
        .replace(/^[^>]*>/, "")
        .replaceAll(/<[^>]*>/g, " ")
        .replaceAll(/\s+/g, " ")
        .trim(),
    );
}

test("scores of each class, the weakest first; what is not defined is a dash", () => {
  // the third is never answered, the fourth has no images
  const labels = Int32Array.of(0, 0, 0, 0, 1, 1, 2);
  const predicted = Int32Array.of(0, 0, 0, 1, 1, 1, 3);
  const classes = ["cat", "dog", "ox", "yak"];
  const text = classesSection({ labels, predicted, numClasses: 4, classes }).text;
  expect(rowsOf(text)).toEqual([
    "mean of 3 classes 58.3 % 55.6 % 55.2 %",
    "ox 1 0.0 % 0 – 0.0 %",
    "dog 2 100.0 % 3 66.7 % 80.0 %",
    "cat 4 75.0 % 3 100.0 % 85.7 %",
    "yak none – 1 0.0 % –",
  ]);
  expect(text).toContain("1 class was never predicted");
  expect(text).toContain("1 class has no images here");
  expect(text).toContain("no images</td>");
});

test("nothing wrong is said so, without empty tables of mistakes", () => {
  const labels = Int32Array.of(0, 1);
  const { text } = classesSection({ labels, predicted: labels, numClasses: 2, classes: [] });
  expect(text).toContain("None: every image was classified correctly.");
  expect(text).not.toContain("Most frequent mistakes");
});
