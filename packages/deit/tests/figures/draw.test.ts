/** Figures in every theme, and their letters without any font of the machine. */
import sharp from "sharp";
import { expect, test } from "vitest";
import type { Figure } from "../../src/figures/draw.ts";
import { drawPng, drawSvg } from "../../src/figures/draw.ts";
import { outlineText } from "../../src/figures/outline.ts";
import { embeddedPicture, figurePage } from "../../src/figures/page.ts";
import { paletteOf } from "../../src/figures/palette.ts";
import { textWidth } from "../../src/figures/text.ts";

const figure: Figure = ({ blue }) => ({
  width: 120,
  height: 80,
  title: { text: "Two bars", subtitle: ["one line", "another line"] },
  data: {
    values: [
      { name: "a & b", value: 1 },
      { name: "c", value: 2 },
    ],
  },
  mark: { type: "bar", color: blue },
  encoding: {
    x: { field: "name", type: "nominal" },
    y: { field: "value", type: "quantitative", title: "height" },
  },
});

test.each(["light", "dark", "page"] as const)(
  "a figure takes its colours from the theme: %s",
  async (theme) => {
    const svg = await drawSvg(figure, theme);
    expect(svg).toContain(`fill="${paletteOf(theme).blue}"`);
  },
);

test("every letter of a PNG is a path", async () => {
  const outlined = outlineText(await drawSvg(figure, "light"));
  expect(outlined.includes("<text")).toBe(false);
  expect(outlined.match(/<path fill="#666b74"/g)?.length).toBeGreaterThan(3);
  const { width, height, data } = await sharp(await drawPng(figure, "light"))
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true })
    .then(({ data, info }) => ({ data, ...info }));
  expect(width).toBeGreaterThan(2 * 120);
  expect(height).toBeGreaterThan(2 * 80);
  // the title, in the upper fifth: ink on paper
  expect(Math.min(...data.subarray(0, Math.floor(data.length / 5)))).toBeLessThan(80);
});

test("letters that the font lacks stay text", () => {
  expect(outlineText('<text font-size="12px" fill="red">猫</text>')).toContain("<text");
  expect(outlineText('<text font-size="12px" fill="red">a &lt; b − c</text>')).not.toContain("<text");
});

test("a figure is as wide as its words, not wider", async () => {
  const words = "A title of many narrow letters: illicit, till, fill";
  const svg = await drawSvg(
    () => ({ width: 40, height: 40, title: words, data: { values: [{}] }, mark: "point" }),
    "light",
  );
  const [, width] = /width="([\d.]+)"/.exec(svg) ?? [];
  const needed = textWidth(words, { size: 15, weight: "bold" });
  expect(Number(width)).toBeGreaterThan(needed);
  expect(Number(width)).toBeLessThan(needed + 60);
});

test("numbers of a path stand apart", () => {
  const path = outlineText('<text font-size="12px" text-anchor="middle" fill="red">8</text>');
  expect(path).not.toMatch(/\d\.\d{3}/);
});

test("a page holds figures in both themes, escapes what it is given, and asks nothing of a network", async () => {
  const page = await figurePage({
    title: "Who & what",
    lead: "<b>not bold</b>",
    command: "deit analyze x",
    sections: [
      { title: "One", figure, table: { head: ["model", "top-1"], rows: [["<i>", 1]], right: [1] } },
      { title: "Two", body: embeddedPicture(new Uint8Array([1, 2, 3]), "png", 'a "cat"') },
    ],
  });
  expect(page).toContain("Who &amp; what");
  expect(page).toContain("&lt;b&gt;not bold");
  expect(page).toContain("&lt;i&gt;");
  expect(page).toContain("of-light");
  expect(page).toContain("of-dark");
  expect(page).toContain('alt="a &quot;cat&quot;"');
  expect(page.match(/(?:src|href)="(?!data:)/g)).toBeNull();
  expect(page).toContain("default-src 'none'");
});
