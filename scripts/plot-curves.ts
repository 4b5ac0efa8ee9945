/**
 * Draws results/ as pictures for docs/figures: `npx node scripts/plot-curves.ts`. Needs nothing but the csv files; what has
 * no file yet is left out.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
import type { Figure } from "../packages/deit/src/figures/draw.ts";
import { drawSvg } from "../packages/deit/src/figures/draw.ts";

type Row = Record<string, string | number>;

function readCsv(name: string): Row[] {
  return parse(readFileSync(`results/${name}.csv`, "utf8"), { columns: true, cast: castNumber });
}

function castNumber(cell: string): string | number {
  return cell === "" || Number.isNaN(Number(cell)) ? cell : Number(cell);
}

/** Draws results/NAME.csv into docs/figures/NAME.svg. */
async function draw(name: string, figure: (rows: Row[]) => Figure): Promise<void> {
  if (!existsSync(`results/${name}.csv`)) return;
  mkdirSync("docs/figures", { recursive: true });
  writeFileSync(`docs/figures/${name}.svg`, `${await drawSvg(figure(readCsv(name)), "light")}\n`);
}

const SIZE = { width: 420, height: 280 };
const ACC1 = {
  field: "test_acc1",
  type: "quantitative",
  scale: { zero: false },
  title: "top-1 on the test pictures, %",
} as const;
const EPOCH = {
  field: "epoch",
  type: "quantitative",
  axis: { tickMinStep: 1, format: "d" },
  title: "epoch",
} as const;
/** Logs count epochs from 0, people from 1. */
const fromOne = (rows: Row[]): Row[] => rows.map((row) => ({ ...row, epoch: Number(row["epoch"]) + 1 }));

/** Accuracy by epoch of one run. */
function curve(title: string): (rows: Row[]) => Figure {
  return (rows) =>
    ({ blue }) => ({
      ...SIZE,
      title,
      data: { values: fromOne(rows) },
      mark: { type: "line", color: blue, point: rows.length < 20 },
      encoding: { x: EPOCH, y: ACC1 },
    });
}

await draw("same-learning", (rows) => ({ orange, blue }) => ({
  ...SIZE,
  title: {
    text: "One recipe, three seeds, two systems",
    subtitle: "10,000 pictures of CIFAR-10, width 64, 4 blocks",
  },
  data: { values: fromOne(rows) },
  encoding: {
    x: EPOCH,
    y: ACC1,
    color: {
      field: "system",
      type: "nominal",
      scale: { domain: ["deit-ts", "pytorch"], range: [orange, blue] },
      title: null,
    },
    detail: { field: "seed", type: "nominal" },
  },
  // One thick and light, one thin and dark, so that both are seen where they lie on each other.
  layer: [
    {
      transform: [{ filter: "datum.system == 'deit-ts'" }],
      mark: { type: "line", strokeWidth: 6, opacity: 0.45 },
    },
    { transform: [{ filter: "datum.system == 'pytorch'" }], mark: { type: "line", strokeWidth: 1.5 } },
  ],
}));

await draw("cifar10-small", curve("CIFAR-10 from scratch: deit train cifar10-small"));
await draw("cifar10-transfer-curve", curve("CIFAR-10 from DeiT-Ti's weights, pictures of 112 pixels"));

await draw("table3-cifar10", (rows) => ({ blue, muted, ink }) => {
  const shown = rows.filter((row) => row["epochs"] === 40);
  const y = {
    field: "line",
    type: "nominal",
    sort: { field: "acc1", op: "mean" },
    title: null,
    axis: { labelLimit: 400 },
  } as const;
  const x = {
    field: "acc1",
    type: "quantitative",
    scale: { zero: false },
    title: "top-1 on the test pictures, %",
  } as const;
  return {
    width: 380,
    height: { step: 28 },
    title: {
      text: "Table 3 on CIFAR-10: taught by a convnet, in every way",
      subtitle: "three seeds and their mean; 10,000 pictures, 40 epochs, 0.2 M parameters",
    },
    data: { values: shown },
    layer: [
      { mark: { type: "point", filled: true, size: 45, color: muted, opacity: 0.6 }, encoding: { x, y } },
      {
        mark: { type: "point", filled: true, size: 110, color: blue, stroke: ink, strokeWidth: 0 },
        encoding: { x: { ...x, aggregate: "mean" }, y },
      },
    ],
  };
});

const AT_THAT_SIZE = "DeiT-Ti fine-tuned on flowers at each size";
/** What fine-tuning at the size of the test gives, as rows of results/resolution.csv. */
function fineTunedFlowers(): Row[] {
  const rows = readCsv("flowers").filter(({ method }) => method === "fine-tuning");
  return rows.map(({ size = 0, acc1 = 0 }) => ({
    weights: AT_THAT_SIZE,
    made_for: size,
    pixels: size,
    acc1,
  }));
}

await draw("resolution", (rows) => ({ blue, orange, green, muted }) => ({
  ...SIZE,
  title: {
    text: "Accuracy against resolution at test time",
    subtitle: "DeiT-Ti, positions interpolated, nothing trained; the line is where it was trained",
  },
  data: { values: [...rows, ...fineTunedFlowers()] },
  encoding: {
    color: {
      field: "weights",
      type: "nominal",
      sort: null,
      scale: { range: [orange, blue, green] },
      legend: { title: null, orient: "bottom", direction: "vertical", labelLimit: 400 },
    },
  },
  layer: [
    {
      mark: { type: "line", point: true },
      encoding: {
        x: { field: "pixels", type: "quantitative", scale: { zero: false }, title: "pixels" },
        y: { field: "acc1", type: "quantitative", scale: { zero: false }, title: "top-1, %" },
      },
    },
    {
      transform: [{ filter: `datum.weights != '${AT_THAT_SIZE}'` }],
      mark: { type: "rule", strokeDash: [4, 4], color: muted },
      encoding: { x: { field: "made_for", type: "quantitative", aggregate: "mean" } },
    },
  ],
}));
