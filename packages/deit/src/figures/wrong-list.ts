/** Images that were answered wrongly, as a part of a page: the first ones as images, more as rows. */
import type { Html } from "./html.ts";
import { html, middleCut } from "./html.ts";

export interface WrongRow {
  /** Name or path. */
  readonly image: string;
  readonly label: string;
  /** Null where the model answered what is not a number. */
  readonly predicted: string | null;
  /** Probabilities of the answer and of the label, 0 to 1. */
  readonly confidence: number | null;
  readonly truth: number | null;
  /** Cross-entropy in nats. */
  readonly loss: number | null;
}

/** Rows besides the images. */
export const WRONG_ROWS = 100;

/**
 * @param rows the largest loss first; of the first ones `images` holds an `<img>` each
 * @param wrong all that are wrong, of `total`
 */
export function wrongList(
  rows: readonly WrongRow[],
  { images, wrong, total }: { images: readonly Html[]; wrong: number; total: number },
): Html {
  if (wrong === 0) return html`<p class="muted">None: every image was classified correctly.</p>`;
  const more = rows.slice(images.length);
  const left = wrong - rows.length;
  return html`<p class="small muted">
      ${integer(wrong)} of ${integer(total)} images, those with the largest loss first: the model was surest
      of something else. Wrong labels are found here.
    </p>
    <div class="images">${images.map((image, i) => card(image, rows[i]))}</div>
    ${
      more.length > 0 &&
      html`<details>
        <summary>${integer(more.length)} more${left > 0 && ` (of ${integer(more.length + left)})`}</summary>
        <div class="scroll">${table(more)}</div>
      </details>`
    }`;
}

function card(image: Html, row: WrongRow | undefined): Html | false {
  return (
    row !== undefined &&
    html`<figure>
      ${image}
      <figcaption>
        <span class="wrong">${row.predicted ?? "no answer"}</span> ${percent(row.confidence)}<br /><span
          class="muted"
          >is ${row.label}, ${percent(row.truth)}</span
        ><span class="muted small file">${middleCut(row.image)}</span>
      </figcaption>
    </figure>`
  );
}

function table(rows: readonly WrongRow[]): Html {
  return html`<table>
    <thead>
      <tr>
        <th scope="col">image</th>
        <th scope="col">class</th>
        <th scope="col">answer</th>
        <th scope="col" class="number">probability</th>
        <th scope="col" class="number">loss</th>
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        ({ image, label, predicted, confidence, loss }) =>
          html`<tr>
            <td class="path">${middleCut(image)}</td>
            <td class="name">${label}</td>
            <td class="name">${predicted ?? "none"}</td>
            <td class="number">${percent(confidence)}</td>
            <td class="number">${loss === null ? "–" : loss.toFixed(2)}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function percent(share: number | null): string {
  return share === null ? "–" : `${(100 * share).toFixed(1)}\u00a0%`;
}

function integer(value: number): string {
  return value.toLocaleString("en-US");
}
