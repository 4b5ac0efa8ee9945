/**
 * Letters of an SVG as paths, in the font of text.ts: machines without fonts draw them, too. For the SVGs that Vega
 * writes; not a general tool. Text with letters that the font lacks stays as it is.
 */
import { covers, text, weightOf } from "./text.ts";
import type { TextOptions } from "./text.ts";

const TEXT = /<text([^>]*)>((?:[^<]|<\/?tspan[^>]*>)*)<\/text>/g;
/** Lines of one text: each but the first says how far below the last it stands. */
const LINE = /<tspan([^>]*)>([^<]*)<\/tspan>/g;

export function outlineText(svg: string): string {
  return svg.replaceAll(TEXT, (whole, attributes: string, content: string) => {
    const lines = linesOf(content);
    if (!lines.every((line) => covers(line.content))) return whole;
    const anchor = attribute(attributes, "text-anchor");
    const style: Omit<TextOptions, "y"> = {
      x: 0,
      size: Number.parseFloat(attribute(attributes, "font-size") ?? "11"),
      weight: weightOf(attribute(attributes, "font-weight")),
      colour: attribute(attributes, "fill") ?? "black",
      anchor: anchor === "middle" || anchor === "end" ? anchor : "start",
    };
    const kept = ["transform", "opacity", "fill-opacity"].flatMap((name) => {
      const value = attribute(attributes, name);
      return value === undefined ? [] : [` ${name}="${value}"`];
    });
    return `<g${kept.join("")}>${lines.map(({ content, y }) => text(content, { ...style, y })).join("")}</g>`;
  });
}

function linesOf(content: string): { content: string; y: number }[] {
  if (!content.includes("<tspan")) return [{ content: unescape(content), y: 0 }];
  let y = 0;
  return [...content.matchAll(LINE)].map(([, attributes = "", line = ""]) => {
    y += Number.parseFloat(attribute(attributes, "dy") ?? "0");
    return { content: unescape(line), y };
  });
}

function attribute(attributes: string, name: string): string | undefined {
  return new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1];
}

function unescape(content: string): string {
  return content
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");
}
