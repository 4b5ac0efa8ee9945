/**
 * Draws results/ as images for docs/figures: `npx node --conditions=deit-source packages/lab/studies/plot-curves.ts`. Needs nothing but the csv files; what has
 * no file yet is left out.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { chartFile, colour, dots, line, nameAxis, numberAxis, segments, seriesColour } from "deit-ts/charts";
import type { Chart, Point, Style } from "deit-ts/charts";

type Row = Record<string, string | number>;

function readCsv(name: string): Row[] {
  return parse(readFileSync(`results/${name}.csv`, "utf8"), { columns: true, cast: castNumber });
}

function castNumber(cell: string): string | number {
  return cell === "" || Number.isNaN(Number(cell)) ? cell : Number(cell);
}

/** Draws results/NAME.csv into docs/figures/NAME.svg. */
function draw(name: string, figure: (rows: Row[]) => Chart): void {
  if (!existsSync(`results/${name}.csv`)) return;
  mkdirSync("docs/figures", { recursive: true });
  writeFileSync(`docs/figures/${name}.svg`, chartFile(figure(readCsv(name))));
}

const SIZE = { width: 420, height: 280 };

function pointsOf(rows: readonly Row[], x: string, y: string): Point[] {
  return rows.map((row) => ({ x: Number(row[x]), y: Number(row[y]) }));
}

/** Logs count epochs from 0, people from 1. */
function byEpoch(rows: readonly Row[]): Point[] {
  return pointsOf(rows, "epoch", "test_acc1").map(({ x, y }) => ({ x: x + 1, y }));
}

function epochPanel(rows: readonly Row[], marks: Chart["panels"][number]["marks"]): Chart["panels"][number] {
  const points = byEpoch(rows);
  return {
    ...SIZE,
    x: numberAxis(
      points.map(({ x }) => x),
      { title: "epoch", whole: true },
    ),
    y: numberAxis(
      points.map(({ y }) => y),
      { title: "top-1 on the test images, %" },
    ),
    marks,
  };
}

/** Accuracy by epoch of one run. */
function curve(title: string): (rows: Row[]) => Chart {
  return (rows) => ({
    description: title,
    title,
    panels: [
      epochPanel(rows, [
        line(byEpoch(rows), { colour: colour("blue") }),
        ...(rows.length < 20 ? [dots(byEpoch(rows), { colour: colour("blue") })] : []),
      ]),
    ],
  });
}

// One thick and light, one thin and dark, so that both are seen where they lie on each other.
const SYSTEMS: Readonly<Record<string, Style>> = {
  "deit-ts": { colour: colour("orange"), width: 6, opacity: 0.45 },
  pytorch: { colour: colour("blue"), width: 1.5 },
};

draw("same-learning", (rows) => ({
  description: "Accuracy by epoch of deit-ts and PyTorch, three seeds each",
  title: "One recipe, three seeds, two systems",
  subtitle: "10,000 images of CIFAR-10, width 64, 4 blocks",
  key: Object.entries(SYSTEMS).map(([label, style]) => ({ label, colour: style.colour })),
  panels: [
    epochPanel(
      rows,
      Object.entries(SYSTEMS).flatMap(([system, style]) => {
        const own = rows.filter((row) => row["system"] === system);
        return [...Map.groupBy(own, (row) => row["seed"]).values()].map((run) => line(byEpoch(run), style));
      }),
    ),
  ],
}));

draw("cifar10-small", curve("CIFAR-10 from scratch: deit train cifar10-small"));
draw("cifar10-transfer-curve", curve("CIFAR-10 from DeiT-Ti's weights, images of 112 pixels"));

draw("table3-cifar10", (rows) => {
  const shown = rows.filter((row) => row["epochs"] === 40);
  const lines = [...Map.groupBy(shown, (row) => String(row["line"]))]
    .map(([name, own]) => ({ name, values: own.map((row) => Number(row["acc1"])) }))
    .map(({ name, values }) => ({
      name,
      values,
      mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    }))
    .toSorted((a, b) => a.mean - b.mean);
  return {
    description: "Top-1 of each way to distill, three seeds and their mean",
    title: "Table 3 on CIFAR-10: taught by a convnet, in every way",
    subtitle: "Three seeds and their mean; 10,000 images, 40 epochs, 0.2 M parameters",
    panels: [
      {
        width: 380,
        x: numberAxis(
          lines.flatMap(({ values }) => values),
          { title: "top-1 on the test images, %" },
        ),
        y: nameAxis(
          lines.map(({ name }) => name),
          { step: 28 },
        ),
        marks: [
          dots(
            lines.flatMap(({ values }, y) => values.map((x) => ({ x, y }))),
            { colour: colour("muted"), opacity: 0.6, radius: 3.5 },
          ),
          dots(
            lines.map(({ mean }, y) => ({ x: mean, y })),
            { colour: colour("blue"), radius: 6 },
          ),
        ],
      },
    ],
  };
});

draw("resolution", (rows) => {
  const fineTuned = readCsv("flowers").filter(({ method }) => method === "fine-tuning");
  const lines = [
    ...Map.groupBy(rows, (row) => String(row["weights"])),
    ["DeiT-Ti fine-tuned on flowers at each size", fineTuned] as const,
  ].map(([label, own]) => ({ label, points: pointsOf(own, own === fineTuned ? "size" : "pixels", "acc1") }));
  const sizes = new Set(rows.map((row) => Number(row["made_for"])));
  const points = lines.flatMap((own) => own.points);
  return {
    description: "Accuracy by the size of the images at test time",
    title: "Accuracy against resolution at test time",
    subtitle: "DeiT-Ti, positions interpolated, nothing trained; the line is where it was trained",
    key: lines.map(({ label }, i) => ({ label, colour: seriesColour(i) })),
    panels: [
      {
        ...SIZE,
        x: numberAxis(
          points.map(({ x }) => x),
          { title: "pixels" },
        ),
        y: numberAxis(
          points.map(({ y }) => y),
          { title: "top-1, %" },
        ),
        marks: [
          segments(
            [...sizes].map((x) => ({ x })),
            { colour: colour("muted"), width: 1, dash: "4 4" },
          ),
          ...lines.flatMap((own, i) => [
            line(own.points, { colour: seriesColour(i) }),
            dots(own.points, { colour: seriesColour(i) }),
          ]),
        ],
      },
    ],
  };
});
