/** An SVG element from its attributes and what is in it. */
import { Html, html } from "./html.ts";
import type { HtmlValue } from "./html.ts";

/** Attributes that are undefined are left out; numbers have two decimals: a fiftieth of a pixel of most screens. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

export function shape(name: string, attributes: Attributes, ...content: readonly HtmlValue[]): Html {
  const written = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined
      ? []
      : [html` ${new Html(key)}="${typeof value === "number" ? Math.round(value * 100) / 100 : value}"`],
  );
  const tag = new Html(name);
  return html`<${tag}${written}>${content}</${tag}>`;
}
