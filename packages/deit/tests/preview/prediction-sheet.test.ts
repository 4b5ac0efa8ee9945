/** The sheet of images with their answers, as pixels. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, expect, test } from "vitest";
import { writePredictionSheet } from "../../src/preview/prediction-sheet.ts";
import { temporaryFolder } from "../data/temporary.ts";

const RED = { r: 200, g: 30, b: 30 };
let root = "";
let redImage = "";
beforeAll(async () => {
  root = await temporaryFolder();
  redImage = join(root, "red.png");
  await sharp({ create: { width: 40, height: 40, channels: 3, background: RED } }).toFile(redImage);
});

const words = { title: "What it sees", subtitle: "some" };
const entry = (score: number): { image: string; predictions: { label: string; score: number }[] } => ({
  image: redImage,
  predictions: [
    { label: "red <&> square", score },
    { label: "other", score: 1 - score },
  ],
});

/** Pixels of that colour, about. */
async function count(file: string, { r, g, b }: { r: number; g: number; b: number }): Promise<number> {
  const { data, info } = await sharp(file).raw().toBuffer({ resolveWithObject: true });
  let found = 0;
  for (let i = 0; i < data.length; i += info.channels)
    if (Math.hypot((data[i] ?? 0) - r, (data[i + 1] ?? 0) - g, (data[i + 2] ?? 0) - b) < 12) found++;
  return found;
}

test("has every image, with bars as long as the scores", async () => {
  const file = join(root, "sheet.png");
  expect(await writePredictionSheet(file, [entry(1), entry(0.5), ...Array(5).fill(entry(0.25))], words)).toBe(
    7,
  );
  const side = 176;
  expect(await count(file, RED)).toBe(7 * side * side);
  const bars = await count(file, { r: 45, g: 95, b: 158 });
  const expected = side * (1 + 0.5 + 5 * 0.25) * 4;
  expect(Math.abs(bars - expected)).toBeLessThan(0.06 * expected); // round ends
});

test("is of the kind that its name says, and shows so many images at most", async () => {
  const file = join(root, "sheet.webp");
  await sharp({ create: { width: 4, height: 4, channels: 3, background: RED } }).toFile(redImage);
  const many = Array<ReturnType<typeof entry>>(12).fill(entry(0.9));
  expect(await writePredictionSheet(file, many, { ...words, most: 8 })).toBe(8);
  const { format, width, height } = await sharp(file).metadata();
  expect([format, width]).toEqual(["webp", 2 * 28 + 6 * 196 - 20]);
  expect(height).toBe(66 + 2 * 28 + 2 * (176 + 20 + 2 * 25 + 6 + 20) - 20); // two rows
});

test("as a page it has every image inside, and every answer as text", async () => {
  const file = join(root, "sheet.html");
  expect(await writePredictionSheet(file, [entry(0.75), entry(0.5)], words)).toBe(2);
  const page = await readFile(file, "utf8");
  expect(page.match(/<img src="data:image\/webp;base64,/g)).toHaveLength(2);
  expect(page).toContain("75.0 %");
  expect(page).toContain('title="red &lt;&amp;&gt; square"');
  expect(page).toContain("--share:0.7500");
});

test("says what is wrong with its place", async () => {
  const write = async (file: string): Promise<number> => writePredictionSheet(file, [entry(1)], words);
  await expect(write(join(root, "sheet.pdf"))).rejects.toThrow(/--sheet: got .*expected a name that ends in/);
  await expect(write(join(root, "gone/sheet.png"))).rejects.toThrow(/--sheet: there is no folder .*gone/);
});
