/** The page's part on classes: which are taken for which, and how well each is recognised. */
import { classResults, confusionMatrix, mostConfused } from "../evaluation/confusion.ts";
import type { ClassPairs, ClassResult } from "../evaluation/confusion.ts";
import { counted, integer, percent } from "./format.ts";
import { html } from "../figures/html.ts";
import type { Html } from "../figures/html.ts";

/** The matrix of more classes could not be read. */
const MATRIX_CLASSES = 30;
/** Rows of the table of mistakes. */
const PAIRS = 12;
/** Weakest classes shown at once; all others when asked for. */
const WEAKEST = 20;

export interface ClassesData extends ClassPairs {
  /** Names by index. */
  readonly classes: readonly string[];
}

export function classesSection(data: ClassesData): Html {
  const results = classResults(data).filter(({ images }) => images > 0);
  const matrix = data.numClasses <= MATRIX_CLASSES;
  return html`<section>
    <h2>Confusions</h2>
    <p class="lead">
      ${
        matrix
          ? "Each row is a class, and how many percent of its images were taken for which class. The diagonal is right."
          : `The most frequent mistakes. A matrix of ${integer(data.numClasses)} classes would be too large to read.`
      }
    </p>
    <div class="cards ${matrix && "wide-first"}">
      ${matrix && html`<div class="card scroll">${matrixTable(data)}</div>`}
      <div class="card">
        <h3>Most frequent mistakes</h3>
        <div class="scroll">${mistakes(data, results)}</div>
      </div>
    </div>
    <h2>Classes</h2>
    <p class="lead">Images of each class that were recognised, the weakest class first.</p>
    <div class="card">${bars(results, data.classes)}</div>
  </section>`;
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
        ${indices.map((i) => html`<th scope="col" title="taken for ${name(i)}"><span>${name(i)}</span></th>`)}
      </tr>
    </thead>
    <tbody>
      ${indices.map((label) => {
        const row = counts.subarray(label * numClasses, (label + 1) * numClasses);
        const images = row.reduce((sum, count) => sum + count, 0);
        return html`<tr>
          <th scope="row"><span title="${name(label)}">${name(label)}</span></th>
          ${indices.map((predicted) =>
            matrixCell({ label, predicted, count: row[predicted] ?? 0, images, name }),
          )}
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
  const title = `${integer(count)} of ${counted(images, "image")} of ${name(label)} ${right ? "recognised" : `taken for ${name(predicted)}`}`;
  return html`<td
    class="${strength > 0.7 && "strong"}"
    title="${title}"
    style="--fill:var(--${right ? "blue" : "orange"});--share:${strength.toFixed(3)}"
  >
    ${Math.round(100 * share)}
  </td>`;
}

function mistakes({ classes, ...pairs }: ClassesData, results: readonly ClassResult[]): Html {
  const images = new Map(results.map((result) => [result.label, result.images]));
  const rows = mostConfused(pairs, PAIRS);
  if (rows.length === 0) return html`<p class="muted">None: every image was recognised.</p>`;
  return html`<table>
    <thead>
      <tr>
        <th scope="col">class</th>
        <th scope="col">taken for</th>
        <th scope="col" class="number">images</th>
        <th scope="col" class="number">share</th>
      </tr>
    </thead>
    <tbody>
      ${rows.map(
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

function bars(results: readonly ClassResult[], classes: readonly string[]): Html {
  const sorted = results.toSorted((a, b) => a.right / a.images - b.right / b.images || a.label - b.label);
  const [shown, rest] =
    sorted.length <= MATRIX_CLASSES ? [sorted, []] : [sorted.slice(0, WEAKEST), sorted.slice(WEAKEST)];
  const list = (part: readonly ClassResult[]): Html =>
    html`<ul class="bars">
      ${part.map(({ label, images, right }) => {
        const name = nameOf(classes, label);
        const share = right / images;
        return html`<li title="${integer(right)} of ${counted(images, "image")} of ${name}">
          <span class="name">${name}</span
          ><span class="track"><i style="--share:${share.toFixed(4)}"></i></span
          ><span class="figure">${percent(share)}</span>
        </li>`;
      })}
    </ul>`;
  return html`${list(shown)}${
    rest.length > 0 &&
    html`<details>
      <summary>The other ${counted(rest.length, "class", "classes")}</summary>
      ${list(rest)}
    </details>`
  }`;
}

/** A class without a name is called by its number, as in predictions. */
export function nameOf(classes: readonly string[], index: number): string {
  return classes[index] ?? String(index);
}
