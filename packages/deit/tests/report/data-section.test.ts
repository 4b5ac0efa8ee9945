/** What is wrong with a run's images, as its report says it. */
import { expect, test } from "vitest";
import { dataSection } from "../../src/report/data-section.ts";

const text = (html: { text: string }): string =>
  html.text
    .replaceAll(/<[^>]*>/g, " ")
    .replaceAll(/\s+/g, " ")
    .replaceAll(" .", ".")
    .trim();

test("nothing wrong is a sentence, without cards", () => {
  const page = dataSection({ checked: 1200, broken: [], copies: [] }, 1200);
  expect(text(page)).toBe(
    "Data The 1,200 images of training and validation: all can be read, none is an exact copy of another.",
  );
  expect(page.text).not.toContain('class="card"');
  expect(text(dataSection({ checked: 20, broken: [], copies: [] }, 50))).toContain(
    "Looked at 20 of 50 images, spread over them all: all can be read",
  );
});

test("broken images have their reason, copies say where they lie; the worst come first", () => {
  const broken = [
    { image: "train: cat/b.jpg", problem: "/photos/cat/b.jpg is not a whole image: cut off" },
    { image: "val: <b>.png", problem: "/photos/<b>.png is empty: expected an image" },
  ];
  const copies = [
    { images: ["train: cat/1.jpg", "train: cat/2.jpg"], acrossParts: false, acrossClasses: false },
    { images: ["train: cat/3.jpg", "validation: dog/3.jpg"], acrossParts: true, acrossClasses: true },
  ];
  const page = dataSection({ checked: 9, broken, copies }, 9);
  const shown = text(page);
  expect(shown).toContain("2 images cannot be read");
  expect(shown).toContain("is not a whole image: cut off");
  expect(shown).not.toContain("/photos/");
  expect(page.text).not.toContain("<b>.png");
  expect(shown).toContain("2 exact copies 1 image is in training and validation both");
  expect(shown).toContain("1 image is in several classes");
  expect(page.text.indexOf('title="train: cat/3.jpg"')).toBeLessThan(
    page.text.indexOf('title="train: cat/1.jpg"'),
  );
});

test("of many, ten are shown and the others on demand", () => {
  const broken = Array.from({ length: 25 }, (_, i) => ({ image: `train: ${i}.jpg`, problem: "cut off" }));
  const page = dataSection({ checked: 25, broken, copies: [] }, 25).text;
  expect(page).toContain("15 more");
  expect(page.match(/<li>/g)).toHaveLength(25);
});
