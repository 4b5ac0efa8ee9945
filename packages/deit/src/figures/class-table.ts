/** How well each class is recognised, as a table of a page. Scores in percent; null where there is nothing to divide by. */
import type { Html } from "./html.ts";
import { html, middleCut } from "./html.ts";

export interface ScoreRow {
  readonly name: string;
  readonly images: number;
  /** Images of any class that were answered with it. */
  readonly answered: number;
  readonly precision: number | null;
  readonly recall: number | null;
  readonly f1: number | null;
}

export interface MeanRow {
  readonly classes: number;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  readonly neverAnswered: number;
}

/** Rows that are shown at once; of more, the weakest, and the others when asked for. */
const MOST = 30;
const WEAKEST = 20;

export const SCORES_EXPLAINED =
  "Recall: of the images of a class, the share that was predicted as it. Precision: of the predictions of a class, the share that is correct. F1: the harmonic mean of both. The weakest class comes first.";

/** The class of lowest F1 first, classes without images last, the means above. */
export function classTable(rows: readonly ScoreRow[], mean: MeanRow): Html {
  const rank = ({ images, f1 }: ScoreRow): number => (images === 0 ? Infinity : (f1 ?? 0));
  // NaN of two infinities keeps their order
  const sorted = rows.toSorted((a, b) => rank(a) - rank(b) || 0);
  const shown = sorted.length <= MOST ? sorted : sorted.slice(0, WEAKEST);
  const rest = sorted.slice(shown.length);
  const note =
    mean.neverAnswered > 0 &&
    html`<p class="small muted">
      ${`${counted(mean.neverAnswered, "class was", "classes were")} never predicted: no precision (–), which counts as 0 in the mean.`}
    </p>`;
  return html`<div class="scroll">${tableOf(shown, mean)}</div>
    ${note}
    ${
      rest.length > 0 &&
      html`<details>
        <summary>The other ${counted(rest.length, "class", "classes")}</summary>
        <div class="scroll">${tableOf(rest)}</div>
      </details>`
    }`;
}

function tableOf(rows: readonly ScoreRow[], mean?: MeanRow): Html {
  return html`<table class="classes">
    <thead>
      <tr>
        <th scope="col">class</th>
        <th scope="col" class="number">images</th>
        <th scope="col">recall</th>
        <th scope="col" class="number">answers</th>
        <th scope="col">precision</th>
        <th scope="col" class="number">F1</th>
      </tr>
    </thead>
    <tbody>
      ${
        mean !== undefined &&
        html`<tr class="mean">
          <th scope="row">mean of ${counted(mean.classes, "class", "classes")}</th>
          <td></td>
          <td>${bar(mean.recall)}</td>
          <td></td>
          <td>${bar(mean.precision)}</td>
          <td class="number">${percent(mean.f1)}</td>
        </tr>`
      }
      ${rows.map(
        ({ name, images, answered, precision, recall, f1 }) =>
          html`<tr>
            <th scope="row">${middleCut(name)}</th>
            <td class="number">${images === 0 ? html`<span class="muted">none</span>` : integer(images)}</td>
            <td>${bar(recall)}</td>
            <td class="number">${integer(answered)}</td>
            <td>${bar(precision)}</td>
            <td class="number">${percent(images === 0 ? null : f1)}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

/** A share with a bar as long. */
function bar(score: number | null): Html {
  if (score === null) return html`<span class="muted">–</span>`;
  return html`<span class="score-bar"
    ><span class="track"><i style="--share:${(score / 100).toFixed(4)}"></i></span
    ><span class="figure">${percent(score)}</span></span
  >`;
}

function percent(score: number | null): string {
  return score === null ? "–" : `${score.toFixed(1)}\u00a0%`;
}

function integer(value: number): string {
  return value.toLocaleString("en-US");
}

function counted(count: number, one: string, many: string): string {
  return `${integer(count)} ${count === 1 ? one : many}`;
}
