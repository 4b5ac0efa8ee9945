/**
 * One HTML document with everything in it. It needs no script and no network, and a policy in its head holds it to
 * that.
 */
import type { Chart } from "./chart.ts";
import { drawChart } from "./chart.ts";
import { Html, html } from "./html.ts";
import { STYLE } from "./style.ts";

/** The document around a body, in the style of the report. */
export function htmlDocument(title: string, body: Html): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"
        />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <main>${body}</main>
      </body>
    </html> `.text;
}

/** A part of an analysis: what it shows, in words, as a figure, as a table, or as HTML of its own. */
export interface PageSection {
  readonly title: string;
  readonly lead?: string;
  readonly figure?: Chart;
  readonly table?: PageTable;
  readonly body?: Html;
}

export interface PageTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
  /** Columns of numbers. */
  readonly right?: readonly number[];
}

export interface PageFrame {
  readonly title: string;
  /** A few words above the title. */
  readonly kind?: string;
  readonly lead?: string;
  /** What made it, as a user would type it. */
  readonly command?: string;
}

/** The page of an analysis. */
export function figurePage({ sections, ...frame }: PageFrame & { sections: readonly PageSection[] }): string {
  const [before, after] = aroundSections(frame);
  return [before, ...sections.map(sectionText), after].join("");
}

/** Stands where the sections will; no text can be like it, since "<" in text is escaped. */
const SECTIONS = "<!-- sections -->";

/** What stands before and after the sections of a page, for one that is written as they come. */
export function aroundSections({ title, kind, lead, command }: PageFrame): [before: string, after: string] {
  const page = htmlDocument(
    title,
    html`<header>
        ${kind && html`<p class="kind">${kind}</p>`}
        <h1>${title}</h1>
      </header>
      ${lead && html`<p class="lead">${lead}</p>`} ${new Html(SECTIONS)}
      ${command && html`<footer>Made by <code>${command}</code></footer>`}`,
  );
  const [before = "", after = ""] = page.split(SECTIONS);
  return [before, after];
}

/** A section as HTML. */
export function sectionText({ title, lead, figure, table, body }: PageSection): string {
  return html`<section>
    <h2>${title}</h2>
    ${lead && html`<p class="lead">${lead}</p>`}
    ${figure && html`<div class="card figure scroll">${new Html(drawChart(figure))}</div>`}
    ${table && html`<div class="card scroll">${tableOf(table)}</div>`} ${body}
  </section>`.text;
}

/** An image's bytes as an `<img>` of its own. `alt`: what it shows, for those who do not see it; `pixels`: it has few. */
export function embeddedImage(
  bytes: Uint8Array,
  type: "png" | "jpeg" | "webp",
  { alt, pixels = false, title }: { alt: string; pixels?: boolean; title?: string },
): Html {
  const data = `data:image/${type};base64,${Buffer.from(bytes).toString("base64")}`;
  return html`<img src="${data}" alt="${alt}" title="${title ?? alt}" class="${pixels && "pixels"}" />`;
}

function tableOf({ head, rows, right = [] }: PageTable): Html {
  const kind = (column: number): string => (right.includes(column) ? "number" : "name");
  return html`<table>
    <thead>
      <tr>
        ${head.map((cell, column) => html`<th class="${kind(column)}">${cell}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        (row) =>
          html`<tr>
            ${row.map((cell, column) => html`<td class="${kind(column)}">${cell}</td>`)}
          </tr>`,
      )}
    </tbody>
  </table>`;
}
