/**
 * The page itself: one HTML document with everything in it.
 */
import type { Calibration } from "../evaluation/metrics/calibration.ts";
import { classResults, macroScores } from "../evaluation/metrics/confusion-counts.ts";
import { countOf, describeSelection, intervalText, shareOf } from "../evaluation/metrics/share.ts";
import type { RunRecord } from "../training/run/run-folder.ts";
import type { EpochRecord } from "../training/run/run-log.ts";
import type { Series } from "./charts.ts";
import { classesSection, nameOf } from "./classes.ts";
import type { Example } from "./examples.ts";
import { thumbnailImage } from "./examples.ts";
import { counted, duration, integer, percent, short } from "./format.ts";
import { Html, html } from "../figures/html.ts";
import { htmlDocument } from "../figures/page.ts";
import { wrongList } from "../figures/wrong-list.ts";
import type { WrongImage } from "../evaluation/metrics/wrong-images.ts";
import { describeWrong } from "../evaluation/metrics/wrong-images.ts";
import type { Measured } from "./measure.ts";
import { dataSection } from "./data-section.ts";
import { runSection } from "./run-section.ts";

export interface ReportData {
  /** Of the run folder. */
  readonly name: string;
  readonly record: RunRecord;
  readonly measured: Measured;
  readonly calibration: Calibration;
  /** SVG. */
  readonly charts: Readonly<Record<"loss" | "accuracy" | "rate" | "reliability", string>>;
  readonly examples: {
    /** At most so many of the right ones are of one class. */
    readonly perClass: number;
    readonly right: readonly Example[];
    /** Of the first ones of `wrong`. */
    readonly wrong: readonly Example[];
  };
  /** Wrong images, the largest loss first. */
  readonly wrong: readonly WrongImage[];
}

export const LOSS: readonly Series[] = [
  { name: "training", colour: "var(--orange)", key: "train_loss" },
  { name: "validation", colour: "var(--blue)", key: "test_loss" },
  { name: "averaged weights", colour: "var(--green)", key: "test_ema_loss" },
];
export const ACCURACY: readonly Series[] = [
  { name: "top-1 in validation", colour: "var(--blue)", key: "test_acc1" },
  { name: "averaged weights", colour: "var(--green)", key: "test_ema_acc1" },
];
export const RATE: readonly Series[] = [{ name: "after the epoch", colour: "var(--muted)", key: "train_lr" }];

/** The series that a log has. */
export function present(log: readonly EpochRecord[], series: readonly Series[]): Series[] {
  return series.filter(({ key }) => log.some((record) => typeof record[key] === "number"));
}

export function reportPage(data: ReportData): string {
  const { measured, name } = data;
  const { answers, dataset, loaded } = measured;
  const { numClasses } = loaded.model.config;
  return htmlDocument(
    `${name}: ${loaded.model.name} on ${measured.dataName}`,
    html`${header(data)} ${learning(data)}
      ${classesSection({ ...answers, numClasses, classes: dataset.classes })} ${imagesSection(data)}
      ${dataSection(measured.check, measured.trainImages + (measured.onTraining ? 0 : dataset.length))}
      ${calibrationSection(data)} ${runSection(data.record)}
      <footer>
        Made by deit from the run folder and its images; <code>deit report</code> makes it again.
      </footer>`,
  );
}

function header({ name, record: { log }, measured, calibration }: ReportData): Html {
  const { metrics, loaded, dataName, trainImages, onTraining, selection } = measured;
  const { model, metadata } = loaded;
  const seconds = log.reduce((sum, record) => sum + Number(record["seconds"] ?? 0), 0);
  const [height, width] = model.config.inputSize;
  const epoch = metadata.epoch === undefined ? "" : `, after epoch ${metadata.epoch + 1} of ${log.length}`;
  const { numClasses } = model.config;
  const macro = macroScores(classResults({ ...measured.answers, numClasses }));
  const share = shareOf(metrics.acc1, metrics.images);
  const chosen = selection && describeSelection(selection);
  const facts: readonly (readonly [string, string])[] = [
    ...(numClasses > 5 ? [["top-5", percent(metrics.acc5 / 100, 2)] as const] : []),
    ["loss", metrics.loss.toFixed(3)],
    ["F1, mean of classes", percent(macro.f1 / 100)],
    ["calibration error", percent(calibration.ece)],
    ["training time", `${duration(seconds)}, ${counted(log.length, "epoch")}`],
    ["training images", integer(trainImages)],
    ["classes", integer(numClasses)],
    ["image size", `${width} × ${height}`],
    ["parameters", integer(log.at(-1)?.n_parameters ?? 0)],
  ];
  return html`<header>
    <p class="kind">Training report · ${name}</p>
    <h1>${model.name} <span class="muted">on ${dataName}</span></h1>
    <div class="hero">
      <div class="score">
        <b>${metrics.acc1.toFixed(2)}<small> %</small></b>
        <p>
          right (top-1): ${countOf(share)}
          ${onTraining ? "images that it was trained on, since none were held out" : "held-out images"}${epoch}
        </p>
        ${!onTraining && html`<p>95 % interval ${intervalText(share)}</p>`}
        ${chosen !== undefined && html`<p class="small muted">The ${chosen}.</p>`}
      </div>
      <dl class="facts">
        ${facts.map(
          ([term, value]) =>
            html`<div>
              <dt>${term}</dt>
              <dd>${value}</dd>
            </div>`,
        )}
      </dl>
    </div>
  </header>`;
}

function learning({ record, charts, measured }: ReportData): Html {
  const { log, args } = record;
  const differs = [
    Number(args["smoothing"] ?? 0) > 0 && "smoothed labels",
    (Number(args["mixup"] ?? 0) > 0 || Number(args["cutmix"] ?? 0) > 0) && "mixed images",
  ].filter((what) => what !== false);
  return html`<section>
    <h2>Learning</h2>
    <p class="lead">
      ${
        differs.length > 0
          ? `The training loss is that of ${differs.join(" and ")}: it is not to be compared with the validation loss, only with itself.`
          : "Loss, accuracy and learning rate after each epoch."
      }
    </p>
    <div class="cards three">
      ${chart("Loss", charts.loss, present(log, LOSS))}
      ${chart("Accuracy, %", charts.accuracy, present(log, ACCURACY))}
      ${chart("Learning rate", charts.rate, RATE)}
    </div>
    <details>
      <summary>All epochs as numbers</summary>
      <div class="card scroll">${epochTable(log, { withTop5: measured.dataset.classes.length > 5 })}</div>
    </details>
  </section>`;
}

function chart(title: string, svg: string, series: readonly Series[]): Html {
  return html`<figure class="card chart">
    <h3>${title}</h3>
    <p class="key">${series.map(({ name, colour }) => key(name, colour))}</p>
    ${new Html(svg)}
  </figure>`;
}

function key(name: string, colour: string, strength = 1): Html {
  return html`<span style="--colour:${colour};--strength:${strength}">${name}</span>`;
}

const COLUMNS: readonly (readonly [key: string, title: string, digits: number])[] = [
  ["train_loss", "training loss", 4],
  ["test_loss", "validation loss", 4],
  ["test_acc1", "top-1, %", 2],
  ["test_acc5", "top-5, %", 2],
  ["test_ema_acc1", "top-1 averaged, %", 2],
];

function epochTable(log: readonly EpochRecord[], { withTop5 }: { withTop5: boolean }): Html {
  const columns = COLUMNS.filter(
    ([name]) => (withTop5 || name !== "test_acc5") && log.some((record) => typeof record[name] === "number"),
  );
  return html`<table>
    <thead>
      <tr>
        <th scope="col">epoch</th>
        ${columns.map(([, title]) => html`<th scope="col" class="number">${title}</th>`)}
        <th scope="col" class="number">learning rate</th>
      </tr>
    </thead>
    <tbody>
      ${log.map((record) => {
        const cells = columns.map(([name, , digits]) => {
          const value = record[name];
          return html`<td class="number">${typeof value === "number" ? value.toFixed(digits) : "–"}</td>`;
        });
        return html`<tr>
          <td>${record.epoch + 1}</td>
          ${cells}
          <td class="number">${typeof record["train_lr"] === "number" ? short(record.train_lr) : "–"}</td>
        </tr>`;
      })}
    </tbody>
  </table>`;
}

function calibrationSection({ calibration, charts }: ReportData): Html {
  const { ece, overconfidence, bins } = calibration;
  const side =
    Math.abs(overconfidence) < 0.005
      ? "On average its confidence equals its accuracy."
      : `On average its confidence is ${(100 * Math.abs(overconfidence)).toFixed(1)} points ${overconfidence > 0 ? "above" : "below"} its accuracy.`;
  return html`<section>
    <h2>Calibration</h2>
    <p class="lead">
      Whether 80 % sure means right in 80 of 100 cases: the bars would end on the dashed line.
    </p>
    <div class="cards two">
      <figure class="card chart">
        <h3>Reliability</h3>
        <p class="key">${key("accuracy", "var(--blue)", 0.85)}${key("mean confidence", "var(--orange)")}</p>
        ${new Html(charts.reliability)}
      </figure>
      <div class="card">
        <h3>Expected calibration error: ${percent(ece, 2)}</h3>
        <p class="small muted">
          The mean distance between confidence and accuracy over 15 bins of equal width (Guo et al., 2017),
          each counting by its answers. ${side}
        </p>
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">confidence</th>
                <th scope="col" class="number">answers</th>
                <th scope="col" class="number">mean</th>
                <th scope="col" class="number">right</th>
              </tr>
            </thead>
            <tbody>
              ${bins
                .filter(({ count }) => count > 0)
                .map(
                  ({ from, to, count, confidence, accuracy }) =>
                    html`<tr>
                      <td>${Math.round(100 * from)}–${Math.round(100 * to)} %</td>
                      <td class="number">${integer(count)}</td>
                      <td class="number">${percent(confidence)}</td>
                      <td class="number">${percent(accuracy)}</td>
                    </tr>`,
                )}
            </tbody>
          </table>
        </div>
      </div>
    </div>
  </section>`;
}

function imagesSection({ examples: { perClass, right, wrong: shown }, wrong, measured }: ReportData): Html {
  const { answers, dataset, metrics } = measured;
  const { classes } = dataset;
  const rows = describeWrong(wrong, answers, { dataset, classes });
  return html`<section>
    <h2>Images</h2>
    <p class="lead">As the model sees them: cropped and scaled to its size.</p>
    <div class="cards">
      <div class="card">
        <h3>Wrong</h3>
        ${wrongList(rows, {
          images: shown.map((example) => image(example, classes)),
          wrong: answers.labels.filter((label, i) => label !== answers.predicted[i]).length,
          total: metrics.images,
        })}
      </div>
      ${
        right.length > 0 &&
        html`<div class="card">
          <h3>Surest, and right</h3>
          <p class="small muted">At most ${perClass} of a class.</p>
          <div class="images">
            ${right.map(
              (example) =>
                html`<figure>
                  ${image(example, classes)}
                  <figcaption>
                    <span class="right">${nameOf(classes, example.label)}</span>
                    ${percent(example.confidence)}
                  </figcaption>
                </figure>`,
            )}
          </div>
        </div>`
      }
    </div>
  </section>`;
}

function image(example: Example, classes: readonly string[]): Html {
  const { name, label, predicted } = example;
  const said = label === predicted ? "correct" : `predicted as ${nameOf(classes, predicted)}`;
  return thumbnailImage(example, { alt: `${nameOf(classes, label)}, ${said}`, title: name });
}
