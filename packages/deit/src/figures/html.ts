/**
 * HTML as tagged templates: whatever is put into one is escaped and printable, unless it is HTML itself. Class names, paths and
 * option values come from users and their folders.
 */

import { printable } from "../printable.ts";

/** Text that is HTML, not to be escaped again. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** What may stand in a template. Lists are joined; what is absent is left out. */
export type HtmlValue = Html | string | number | null | undefined | false | readonly HtmlValue[];

/** html`<b title="${name}">${name}</b>`: attributes must be quoted. */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(parts.reduce((text, part, i) => text + asHtml(values[i - 1]) + part));
}

/** Text as HTML shows it, inside elements and quoted attributes. */
function escapeHtml(text: string): string {
  return printable(text).replaceAll(/[&<>"']/g, (character) => ESCAPES[character] ?? "");
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** So many letters at the end of a name are always shown. */
const KEPT = 10;

/** A name that is cut in its middle where there is too little room: names often differ at their end. */
export function middleCut(name: string): Html {
  const letters = Array.from(name);
  return html`<span class="cut" title="${name}"
    ><span>${letters.slice(0, -KEPT)}</span><span>${letters.slice(-KEPT)}</span></span
  >`;
}

function asHtml(value: HtmlValue): string {
  if (value instanceof Html) return value.text;
  if (value === null || value === undefined || value === false) return "";
  if (typeof value === "object") return value.map(asHtml).join("");
  return escapeHtml(String(value));
}
