/** The page's part on classes: how well each is recognised, and which are taken for which. */
import {
  classResults,
  classScores,
  confusionMatrix,
  macroScores,
  mostConfused,
} from "../evaluation/metrics/confusion-counts.ts";
import type { ClassPairs, Confusion } from "../evaluation/metrics/confusion-counts.ts";
import { classTable, SCORES_EXPLAINED } from "../figures/class-table.ts";
import { counted, integer, percent } from "./format.ts";
import { html, middleCut } from "../figures/html.ts";
import type { Html } from "../figures/html.ts";

/** The matrix of more classes could not be read. */
const MATRIX_CLASSES = 30;
/** Rows of the table of mistakes. */
const PAIRS = 12;
export interface ClassesData extends ClassPairs {
  /** Names by index. */
  readonly classes: readonly string[];
}

export function classesSection(data: ClassesData): Html {
  const results = classResults(data);
  const rows = results.map(({ label, ...counts }) => ({
    name: nameOf(data.classes, label),
    ...counts,
    ...classScores(counts),
  }));
  const images = new Map(results.map((result) => [result.label, result.images]));
  const without = results.filter((result) => result.images === 0).length;
  return html`<section>
    <h2>Classes</h2>
    <p class="lead">
      ${SCORES_EXPLAINED}
      ${without > 0 && `${counted(without, "class has", "classes have")} no images here: nothing is known of them.`}
    </p>
    <div class="card">${classTable(rows, macroScores(results))}</div>
    ${confusions(data, images)}
  </section>`;
}

function confusions(data: ClassesData, images: ReadonlyMap<number, number>): Html {
  const pairs = mostConfused(data, PAIRS);
  if (pairs.length === 0)
    return html`<h2>Confusions</h2>
      <p class="lead">None: every image was classified correctly.</p>`;
  const matrix = data.numClasses <= MATRIX_CLASSES;
  return html`<h2>Confusions</h2>
    <p class="lead">
      ${
        matrix
          ? "Each row is a true class; columns show which percentage of its images was predicted as which class. The diagonal is correct."
          : `The most frequent mistakes. A matrix of ${integer(data.numClasses)} classes would be too large to read.`
      }
    </p>
    <div class="cards ${matrix && "wide-first"}">
      ${matrix && html`<div class="card scroll">${matrixTable(data)}</div>`}
      <div class="card">
        <h3>Most frequent mistakes</h3>
        <div class="scroll">${mistakes(data, pairs, images)}</div>
      </div>
    </div>`;
}

function matrixTable({ classes, ...pairs }: ClassesData): Html {
  const { numClasses } = pairs;
  const counts = confusionMatrix(pairs);
  const indices = Array.from({ length: numClasses }, (_, i) => i);
  const name = (i: number): string => nameOf(classes, i);
  return html`<table class="matrix">
    <thead>
      <tr>
        <td></td>
        ${indices.map((i) => html`<th scope="col" title="predicted as ${name(i)}"><span>${short(name(i))}</span></th>`)}
      </tr>
    </thead>
    <tbody>
      ${indices.map((label) => {
        const row = counts.subarray(label * numClasses, (label + 1) * numClasses);
        const images = row.reduce((sum, count) => sum + count, 0);
        return html`<tr>
          <th scope="row">${middleCut(name(label))}</th>
          ${
            images === 0
              ? html`<td class="muted none" colspan="${numClasses}">no images</td>`
              : indices.map((predicted) =>
                  matrixCell({ label, predicted, count: row[predicted] ?? 0, images, name }),
                )
          }
        </tr>`;
      })}
    </tbody>
  </table>`;
}

function matrixCell({
  label,
  predicted,
  count,
  images,
  name,
}: {
  label: number;
  predicted: number;
  count: number;
  images: number;
  name: (index: number) => string;
}): Html {
  if (count === 0) return html`<td style="--fill:var(--blue);--share:.04"></td>`;
  const share = count / images;
  const right = label === predicted;
  // Mistakes are rare: the square root keeps a few percent visible.
  const strength = 0.06 + 0.94 * (right ? share : Math.sqrt(share) * 0.8);
  const title = `${integer(count)} of ${counted(images, "image")} of ${name(label)} ${right ? "correct" : `predicted as ${name(predicted)}`}`;
  return html`<td
    class="${strength > 0.7 && "strong"}"
    title="${title}"
    style="--fill:var(--${right ? "blue" : "orange"});--share:${strength.toFixed(3)}"
  >
    ${Math.round(100 * share)}
  </td>`;
}

function mistakes(
  { classes }: ClassesData,
  pairs: readonly Confusion[],
  images: ReadonlyMap<number, number>,
): Html {
  return html`<table>
    <thead>
      <tr>
        <th scope="col">class</th>
        <th scope="col">predicted as</th>
        <th scope="col" class="number">images</th>
        <th scope="col" class="number">share</th>
      </tr>
    </thead>
    <tbody>
      ${pairs.map(
        ({ label, predicted, count }) =>
          html`<tr>
            <td class="name">${nameOf(classes, label)}</td>
            <td class="name">${nameOf(classes, predicted)}</td>
            <td class="number">${integer(count)}</td>
            <td class="number">${percent(count / (images.get(label) ?? NaN))}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

/** Letters of a name that stands upright; a longer one is cut in its middle. */
const UPRIGHT = 18;

function short(name: string): string {
  const letters = Array.from(name);
  if (letters.length <= UPRIGHT) return name;
  const half = UPRIGHT / 2 - 1;
  return `${letters.slice(0, half).join("")}…${letters.slice(-half).join("")}`;
}

/** A class without a name is called by its number, as in predictions. */
export function nameOf(classes: readonly string[], index: number): string {
  return classes[index] ?? String(index);
}
