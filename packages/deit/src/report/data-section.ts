/** The page's part on the images of a run: those that cannot be read, and exact copies, as `deit data info` finds them. */
import type { Copies, ImageCheck, ImageProblem } from "../data/check-images.ts";
import { problemWords } from "../data/check-images.ts";
import { html, middleCut } from "../figures/html.ts";
import type { Html } from "../figures/html.ts";
import { counted, integer } from "./format.ts";

/** Rows shown at once; the others when asked for. */
const SHOWN = 10;
/** Copies of one image that are named. */
const NAMED = 6;

/** @param images of training and validation together */
export function dataSection({ checked, broken, copies }: ImageCheck, images: number): Html {
  const looked =
    checked < images ? `${integer(checked)} of ${counted(images, "image")}, spread over them all` : "";
  const severe = copies.toSorted((a, b) => severity(b) - severity(a));
  const none = [
    ...(broken.length === 0 ? ["all can be read"] : []),
    ...(copies.length === 0 ? ["none is an exact copy of another"] : []),
  ].join(", ");
  return html`<section>
    <h2>Data</h2>
    <p class="lead">
      ${looked === "" ? `The ${counted(images, "image")} of training and validation` : `Looked at ${looked}`}${
        none !== "" && `: ${none}`
      }.
    </p>
    <div class="cards ${broken.length > 0 && copies.length > 0 && "two"}">
      ${broken.length > 0 && html`<div class="card">${brokenList(broken)}</div>`}
      ${copies.length > 0 && html`<div class="card">${copiesList(severe)}</div>`}
    </div>
  </section>`;
}

function brokenList(broken: readonly ImageProblem[]): Html {
  const list = (part: readonly ImageProblem[]): Html =>
    html`<ul class="files">
      ${part.map(
        (one) => html`<li>${middleCut(one.image)}<span class="small muted">${problemWords(one)}</span></li>`,
      )}
    </ul>`;
  return html`<h3>${counted(broken.length, "image")} cannot be read</h3>
    <p class="small muted">Training replaces them by others, validation leaves them out.</p>
    ${inParts(broken, list)}`;
}

function copiesList(copies: readonly Copies[]): Html {
  const extra = copies.reduce((sum, { images }) => sum + images.length - 1, 0);
  const across = copies.filter(({ acrossParts }) => acrossParts).length;
  const classes = copies.filter(({ acrossClasses }) => acrossClasses).length;
  const list = (part: readonly Copies[]): Html =>
    html`<ul class="files">
      ${part.map(
        ({ images, acrossParts, acrossClasses }) =>
          html`<li>
            ${images.slice(0, NAMED).map(middleCut)}
            ${images.length > NAMED && html`<span class="small muted">and ${images.length - NAMED} more</span>`}
            ${acrossParts && html`<span class="small wrong">in training and validation</span>`}
            ${acrossClasses && html`<span class="small wrong">in several classes</span>`}
          </li>`,
      )}
    </ul>`;
  return html`<h3>${counted(extra, "exact copy", "exact copies")}</h3>
    <p class="small muted">
      ${across > 0 && `${counted(across, "image is", "images are")} in training and validation both: what is measured was trained on. `}
      ${classes > 0 && `${counted(classes, "image is", "images are")} in several classes: one of them is wrong.`}
      ${across === 0 && classes === 0 && "Files that are the same byte for byte."}
    </p>
    ${inParts(copies, list)}`;
}

function severity({ acrossParts, acrossClasses }: Copies): number {
  return Number(acrossParts) + Number(acrossClasses);
}

function inParts<Entry>(entries: readonly Entry[], list: (part: readonly Entry[]) => Html): Html {
  const rest = entries.slice(SHOWN);
  return html`${list(entries.slice(0, SHOWN))}
  ${
    rest.length > 0 &&
    html`<details>
      <summary>${integer(rest.length)} more</summary>
      ${list(rest)}
    </details>`
  }`;
}
