/** Runs beside each other as HTML: a table of where they are, and their curves, a line a run. */
import { numberAxis } from "../figures/axis.ts";
import { drawChart } from "../figures/chart.ts";
import { SERIES_LENGTH, seriesColour } from "../figures/colours.ts";
import { Html, html } from "../figures/html.ts";
import { line } from "../figures/marks.ts";
import type { Point } from "../figures/marks.ts";
import { STYLE } from "../figures/style.ts";
import { duration, short } from "../report/format.ts";
import type { EpochRecord } from "../training/run/run-log.ts";
import type { WatchedRun } from "./watched-run.ts";

/** What is drawn, where any run has it. */
const CHARTS: readonly { key: string; title: string; read?(record: EpochRecord): unknown }[] = [
  { key: "train_loss", title: "training loss" },
  { key: "test_loss", title: "validation loss" },
  { key: "test_acc1", title: "top-1, percent of the validation images" },
  { key: "test_ema_acc1", title: "top-1 of the averaged weights, percent" },
  { key: "train_lr", title: "learning rate" },
  {
    key: "token_cosine",
    title: "class and distillation token after the last layer, cosine",
    read: ({ test_token_similarity: found }) =>
      typeof found === "object" && found !== null && "lastLayer" in found ? found.lastLayer : undefined,
  },
];

/** Points of a line; more are not seen, and a dozen long runs stay quick to draw. */
const MOST_POINTS = 400;
const [WIDTH, HEIGHT] = [420, 220];

const STATES: Readonly<Record<WatchedRun["state"], string>> = {
  training: "training",
  finished: "finished",
  stopped: "stopped",
  unknown: "open on another machine",
  unreadable: "cannot be read",
};

export function runsPage(): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        />
        <meta name="color-scheme" content="light dark" />
        <title>deit: runs</title>
        <style>
          ${new Html(STYLE)} .cards.charts {
            margin-top: 16px;
            grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr));
          }
          .charts svg {
            max-width: 100%;
            height: auto;
          }
        </style>
        <script src="/runs/view.js" defer></script>
      </head>
      <body>
        <main>
          <header><h1>Runs</h1></header>
          <p class="lead" id="state" role="status">Reading the runs…</p>
          <div id="view"></div>
        </main>
      </body>
    </html> `.text;
}

/** Asks for what has changed, and puts it into the page. */
export const RUNS_SCRIPT = `"use strict";
const [view, state] = ["view", "state"].map((id) => document.getElementById(id));
let tag = "";
async function look() {
  try {
    const response = await fetch("/runs/view", { headers: tag ? { "if-none-match": tag } : {}, cache: "no-store" });
    if (response.status === 200) {
      tag = response.headers.get("etag") ?? "";
      view.innerHTML = await response.text();
      state.textContent = "The page follows the runs. Last change seen at " + new Date().toLocaleTimeString() + ".";
    } else if (response.status !== 304) throw new Error(String(response.status));
  } catch {
    state.textContent = "No connection: the training that served this page has ended, or deit ui was stopped. What is shown below may be out of date.";
    tag = "";
  }
  setTimeout(look, 2000);
}
void look();
`;

export function runsView(runs: readonly WatchedRun[]): string {
  return html`<section>
    <div class="card scroll">
      <table>
        <thead>
          <tr>
            <th class="name">run</th>
            <th class="name">state</th>
            <th class="name">model</th>
            <th class="number">epochs</th>
            <th class="number">training loss</th>
            <th class="number">top-1</th>
            <th class="number">best top-1</th>
            <th class="number">an epoch</th>
            <th class="number" title="images to train by the time of an epoch, its validation included">
              images/s
            </th>
            <th class="number">left</th>
          </tr>
        </thead>
        <tbody>
          ${runs.map(rowOf)}
        </tbody>
      </table>
    </div>
    <div class="cards charts">${CHARTS.map((chart) => chartOf(runs, chart))}</div>
  </section>`.text;
}

function rowOf(run: WatchedRun, index: number): Html {
  const { name, state, problem, model, epochs, log, secondsPerEpoch, secondsLeft, imagesPerSecond } = run;
  const last = log.at(-1);
  const measured = valuesOf(run, "test_acc1");
  const percent = (value: number | undefined): string =>
    value === undefined ? "–" : `${value.toFixed(2)} %`;
  const best = measured.length === 0 ? undefined : Math.max(...measured.map(({ y }) => y));
  return html`<tr>
    <td class="name">${swatch(index)}${name}</td>
    <td class="name" title="${problem ?? ""}">${STATES[state]}</td>
    <td class="name">${model}</td>
    <td class="number">${(last?.epoch ?? -1) + 1} of ${epochs}</td>
    <td class="number">${last === undefined ? "–" : short(last.train_loss)}</td>
    <td class="number">${percent(measured.at(-1)?.y)}</td>
    <td class="number">${percent(best)}</td>
    <td class="number">${secondsPerEpoch === undefined ? "–" : duration(secondsPerEpoch)}</td>
    <td class="number">${imagesPerSecond === undefined ? "–" : short(imagesPerSecond)}</td>
    <td class="number">${secondsLeft === undefined ? "–" : duration(secondsLeft)}</td>
  </tr>`;
}

/** Colours begin again after the eighth run: its lines are dashed. */
function isDashed(index: number): boolean {
  return Math.floor(index / SERIES_LENGTH) % 2 === 1;
}

/** As an image: a policy allows no style of its own elements that text could bring. */
function swatch(index: number): Html {
  return html`<svg width="12" height="10" aria-hidden="true">
    ${
      isDashed(index)
        ? html`<path
            d="M0 5h10"
            stroke="${seriesColour(index)}"
            stroke-width="3"
            stroke-dasharray="4 2"
          ></path>`
        : html`<rect width="10" height="10" rx="3" fill="${seriesColour(index)}"></rect>`
    }
  </svg> `;
}

function valuesOf(
  { log }: WatchedRun,
  key: string,
  read = (record: EpochRecord): unknown => record[key],
): { x: number; y: number }[] {
  return log.flatMap((record) => {
    const y = read(record);
    return typeof y === "number" && Number.isFinite(y) ? [{ x: record.epoch + 1, y }] : [];
  });
}

function chartOf(
  runs: readonly WatchedRun[],
  { key, title, read }: (typeof CHARTS)[number],
): Html | undefined {
  const lines = runs.map((run) => thinned(valuesOf(run, key, read)));
  const all = lines.flat();
  if (all.length === 0) return undefined;
  const svg = drawChart({
    description: `${title} by epoch: ${runs.map(({ name }) => name).join(", ")}`,
    title,
    panels: [
      {
        width: WIDTH,
        height: HEIGHT,
        x: numberAxis(
          all.map(({ x }) => x),
          { title: "epoch", whole: true },
        ),
        y: numberAxis(
          all.map(({ y }) => y),
          {},
        ),
        marks: lines.map((points, i) =>
          line(points, { colour: seriesColour(i), ...(isDashed(i) && { dash: "6 4" }) }),
        ),
      },
    ],
  });
  return html`<div class="card figure">${new Html(svg)}</div>`;
}

/** Every nth point, and always the last. */
function thinned<T extends Point>(points: readonly T[]): T[] {
  const step = Math.ceil(points.length / MOST_POINTS);
  return points.filter((_, i) => i % step === 0 || i === points.length - 1);
}
