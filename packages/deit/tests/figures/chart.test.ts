/** Charts as SVG: colours of both themes, room for words, axes of values that are all the same. */
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { logTicks, nameAxis, numberAxis, scientific } from "../../src/figures/axis.ts";
import type { Chart } from "../../src/figures/chart.ts";
import { chartFile, drawChart } from "../../src/figures/chart.ts";
import { colour, trueColour } from "../../src/figures/colours.ts";
import { confusionChart } from "../../src/figures/confusion.ts";
import { bars, dots, line } from "../../src/figures/marks.ts";
import { embeddedImage, figurePage } from "../../src/figures/page.ts";
import { fitText, textWidth, wrapText } from "../../src/figures/text.ts";

const POINTS = [
  { x: 1, y: 2 },
  { x: 2, y: 4 },
];

const chart: Chart = {
  description: "Two points",
  title: "Two points",
  subtitle: "in blue",
  key: [{ label: "a & b", colour: colour("blue") }],
  panels: [
    {
      width: 120,
      height: 80,
      x: numberAxis([1, 2], { title: "epoch", whole: true }),
      y: numberAxis([2, 4], { title: "height" }),
      marks: [line(POINTS, { colour: colour("blue") }), dots(POINTS, { colour: colour("orange") })],
    },
  ],
};

test("in a page a chart has the page's colours; as a file both themes", () => {
  expect(drawChart(chart)).toContain('stroke="var(--blue)"');
  expect(drawChart(chart)).not.toContain("<style>");
  const file = chartFile(chart);
  expect(file).not.toContain("var(");
  expect(file).toContain(`stroke="${trueColour("blue")}"`);
  expect(file).toContain(`[stroke="${trueColour("blue")}"]{stroke:${trueColour("blue", "dark")}}`);
});

test("every program that reads SVG draws the file", async () => {
  const { data, info } = await sharp(Buffer.from(chartFile(chart)))
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  expect([info.width, info.height].map(String)).toEqual(
    /width="(\d+)" height="(\d+)"/.exec(chartFile(chart))?.slice(1),
  );
  // ink on white
  expect(data[0]).toBe(255);
  expect(Math.min(...data)).toBeLessThan(120);
});

test("marks stand where their values are", () => {
  const svg = drawChart(chart);
  const [first, second] = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [
    Number(x),
    Number(y),
  ]);
  expect((second?.[0] ?? 0) - (first?.[0] ?? 0)).toBeCloseTo(120, 1);
  expect((first?.[1] ?? 0) - (second?.[1] ?? 0)).toBeCloseTo(80, 1);
});

function labelsOf(axis: ReturnType<typeof numberAxis>, length = 240): string[] {
  return axis.place(0, length).ticks.map(({ label }) => label);
}

describe("axes", () => {
  test.each([
    ["one accuracy for all epochs", [66.66666666666667, 66.66666666666667]],
    ["accuracies that differ by rounding", [66.66666666666667, 66.66666666666666]],
    ["zeros", [0, 0]],
    ["one value", [1234.5]],
    ["nothing", []],
    ["what is not a number", [Number.NaN, Number.POSITIVE_INFINITY]],
  ])("of %s have a few short numbers", (_, values) => {
    const labels = labelsOf(numberAxis(values));
    expect(labels.length).toBeGreaterThan(1);
    expect(labels.length).toBeLessThan(9);
    expect(Math.max(...labels.map((label) => label.length))).toBeLessThan(6);
    expect(new Set(labels).size).toBe(labels.length);
  });

  test("of whole numbers have no halves, of one epoch it alone", () => {
    expect(labelsOf(numberAxis([1, 3], { whole: true }), 600)).toEqual(["1", "2", "3"]);
    expect(labelsOf(numberAxis([1], { whole: true }))).toEqual(["1"]);
    expect(labelsOf(numberAxis([0.001, 0], { format: scientific }))).toContain("4e-4");
    expect(labelsOf(numberAxis([0.001, 0], { format: scientific }))).toContain("0");
  });

  test.each([
    [
      [1, 5000],
      [1, 10, 100, 1000],
    ],
    [
      [15, 300],
      [20, 50, 100, 200],
    ],
    [
      [220, 480],
      [300, 400],
    ],
    [
      [200, 290],
      [200, 250],
    ],
    [
      [190, 620],
      [200, 500],
    ],
  ] as const)("by factors: ticks of %j are few and there", (domain, some) => {
    const ticks = logTicks(domain);
    expect(ticks).toEqual(expect.arrayContaining([...some]));
    expect(ticks.length).toBeLessThan(11);
  });

  test("two classes of one name have a place each", () => {
    const { ticks, at } = nameAxis(["cat", "cat"], { step: 20 }).place(0, 40);
    expect(ticks.map(({ value }) => at(value))).toEqual([10, 30]);
  });
});

describe("words", () => {
  test("long ones are cut in the middle, and are all there for who asks", () => {
    const name = "IMG_20240708_holiday_in_the_mountains_0412.jpg";
    const shown = fitText(name, { size: 12, maxWidth: 150 });
    expect(shown).toMatch(/^IMG_2024.*….*0412\.jpg$/);
    expect(textWidth(shown, { size: 12 })).toBeLessThanOrEqual(150);
    expect(fitText("cat", { size: 12, maxWidth: 150 })).toBe("cat");
    expect(fitText("猫".repeat(40), { size: 12, maxWidth: 150 })).toMatch(/^猫+…猫+$/);
  });

  test("room is kept for wide letters, and none for marks above them", () => {
    expect(textWidth("猫", { size: 10 })).toBeGreaterThan(9.9);
    expect(textWidth("e\u0301", { size: 10 })).toBe(textWidth("e", { size: 10 }));
    expect(textWidth("MW", { size: 10 })).toBeGreaterThan(2 * textWidth("il", { size: 10 }));
    expect(wrapText("one two three", { size: 10, maxWidth: 60 }).length).toBeGreaterThan(1);
  });

  test("a chart is as wide as its names, and no name of a class leaves it", () => {
    const classes = ["a very long name of a class indeed", "b"];
    const svg = drawChart(confusionChart({ counts: Uint32Array.of(3, 1, 0, 2), classes }, { title: "c" }));
    const width = Number(/width="(\d+)"/.exec(svg)?.[1]);
    for (const [, x, size, anchor, content] of svg.matchAll(
      /<text x="([\d.]+)" y="[\d.]+" font-size="(\d+)"[^>]*?(?: text-anchor="(\w+)")?>([^<]*)</g,
    )) {
      const room = textWidth(content ?? "", { size: Number(size) });
      const left = Number(x) - (anchor === "end" ? room : anchor === "middle" ? room / 2 : 0);
      expect(left).toBeGreaterThanOrEqual(0);
      expect(left + (anchor === undefined ? 0 : room)).toBeLessThanOrEqual(width);
    }
  });

  test("a class without images says so in its row", () => {
    const chartOf = (counts: number[]): string =>
      drawChart(confusionChart({ counts: Uint32Array.from(counts), classes: ["a", "b"] }, { title: "c" }));
    expect(chartOf([3, 1, 0, 0])).toContain(">no images<");
    expect(chartOf([3, 1, 0, 2])).not.toContain("no images");
  });

  test("markup in names is text", () => {
    const svg = drawChart({
      ...chart,
      title: '<script>"x"',
      panels: [
        {
          x: nameAxis(["<b>"]),
          y: numberAxis([0, 1]),
          marks: [bars([{ from: 0, to: 1, value: 1, title: "<i>" }], { colour: colour("blue") })],
        },
      ],
    });
    expect(svg).not.toMatch(/<(script|b|i)>/);
    expect(svg).toContain("&lt;script&gt;");
  });
});

test("a page holds figures, escapes what it is given, and asks nothing of a network", () => {
  const page = figurePage({
    title: "Who & what",
    lead: "<b>not bold</b>",
    command: "deit analyze x",
    sections: [
      { title: "One", figure: chart, table: { head: ["model", "top-1"], rows: [["<i>", 1]], right: [1] } },
      { title: "Two", body: embeddedImage(new Uint8Array([1, 2, 3]), "png", { alt: 'a "cat"' }) },
    ],
  });
  expect(page).toContain("Who &amp; what");
  expect(page).toContain("&lt;b&gt;not bold");
  expect(page).toContain("&lt;i&gt;");
  expect(page).toContain('role="img" aria-label="Two points"');
  expect(page).toContain(`--blue: ${trueColour("blue", "dark")};`);
  expect(page).toContain('alt="a &quot;cat&quot;"');
  expect(page.match(/(?:src|href)="(?!data:)/g)).toBeNull();
  expect(page).toContain("default-src 'none'");
});
