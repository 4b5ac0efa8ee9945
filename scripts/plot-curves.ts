/**
 * Draws results/ as pictures for docs/figures: `node scripts/plot-curves.ts`. Needs nothing but the csv files.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import * as vega from "vega";
import type { TopLevelSpec } from "vega-lite";
import { compile } from "vega-lite";

type Row = Record<string, string | number>;

function readCsv(file: string): Row[] {
  const [header = "", ...lines] = readFileSync(file, "utf8").trim().split(/\r?\n/);
  const names = header.split(",");
  return lines.map((line) => {
    const cells = line.split(",");
    return Object.fromEntries(
      names.map((name, i) => [name, Number.isNaN(Number(cells[i])) ? (cells[i] ?? "") : Number(cells[i])]),
    );
  });
}

async function draw(file: string, spec: TopLevelSpec): Promise<void> {
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: "none" });
  mkdirSync("docs/figures", { recursive: true });
  writeFileSync(`docs/figures/${file}.svg`, await view.toSVG());
}

const config = {
  background: "white",
  font: "sans-serif",
  axis: { grid: true, gridColor: "#eee" },
  view: { stroke: null },
};
const SYSTEMS = ["deit-ts", "pytorch"];
const COLOURS = ["#e07a5f", "#1d3557"];

const same = readCsv("results/same-learning.csv").map((row) => ({ ...row, epoch: Number(row["epoch"]) + 1 }));
await draw("same-learning", {
  config,
  data: { values: same },
  title: {
    text: "One recipe, three seeds, two systems",
    subtitle: "10,000 pictures of CIFAR-10, width 64, 4 blocks",
  },
  width: 420,
  height: 280,
  encoding: {
    x: { field: "epoch", type: "quantitative", axis: { tickMinStep: 1 }, title: "epoch" },
    y: {
      field: "test_acc1",
      type: "quantitative",
      scale: { zero: false },
      title: "top-1 on the test pictures, %",
    },
    color: { field: "system", type: "nominal", scale: { domain: SYSTEMS, range: COLOURS }, title: null },
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
});

const curve = readCsv("results/cifar10-small.csv").map((row) => ({
  ...row,
  epoch: Number(row["epoch"]) + 1,
}));
await draw("cifar10-small", {
  config,
  data: { values: curve },
  title: "CIFAR-10 from scratch: deit train cifar10-small",
  width: 420,
  height: 280,
  mark: { type: "line", color: "#1d3557" },
  encoding: {
    x: { field: "epoch", type: "quantitative", title: "epoch" },
    y: {
      field: "test_acc1",
      type: "quantitative",
      scale: { zero: false },
      title: "top-1 on the test pictures, %",
    },
  },
});
