/** Text as SVG paths, in a font that comes along: machines without fonts draw it, too. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Font, Glyph, Path } from "opentype.js";

const require = createRequire(import.meta.url);
// a CommonJS module whose types are those of an ES module
const opentype = require("opentype.js") as typeof import("opentype.js");

const WEIGHTS = { normal: 400, bold: 600 } as const;
const fonts = new Map<keyof typeof WEIGHTS, Font>();

function fontOf(weight: keyof typeof WEIGHTS): Font {
  const known = fonts.get(weight);
  if (known) return known;
  const name = `@fontsource/inter/files/inter-latin-${WEIGHTS[weight]}-normal.woff`;
  const { buffer, byteOffset, length } = readFileSync(require.resolve(name));
  const font = opentype.parse(buffer.slice(byteOffset, byteOffset + length));
  fonts.set(weight, font);
  return font;
}

/** The nearer of the two weights that come along, for one as CSS writes it. */
export function weightOf(css: string | number | undefined): keyof typeof WEIGHTS {
  return /^(?:bold|[6-9]00)$/.test(String(css)) ? "bold" : "normal";
}

export interface TextOptions {
  readonly x: number;
  /** Of the baseline. */
  readonly y: number;
  readonly size: number;
  readonly weight?: keyof typeof WEIGHTS;
  readonly colour?: string;
  /** Longer text is cut off, with an ellipsis. */
  readonly maxWidth?: number;
  /** What of the line stands at x. */
  readonly anchor?: "start" | "middle" | "end";
}

/** The font's Latin part has no minus sign. */
function withoutMinus(content: string): string {
  return content.replaceAll("−", "–");
}

/** Whether the font has every letter. */
export function covers(content: string): boolean {
  const font = fontOf("normal");
  return Array.from(withoutMinus(content)).every((letter) => font.charToGlyphIndex(letter) > 0);
}

/** With two decimals. opentype.js writes a number just below zero as 0 and takes it for negative, which needs no space before it. */
function pathData(path: Path): string {
  const rounded = path.commands.map((command) =>
    Object.fromEntries(
      Object.entries(command).map(([key, value]: [string, unknown]) => [
        key,
        typeof value === "number" ? Math.round(value * 100) / 100 || 0 : value,
      ]),
    ),
  );
  path.commands = rounded as typeof path.commands;
  return path.toPathData(2);
}

function glyphsOf(content: string, font: Font): Glyph[] {
  return Array.from(withoutMinus(content), (letter) => font.charToGlyph(letter));
}

/** Of a line, in the unit of `size`. */
export function textWidth(
  content: string,
  { size, weight = "normal" }: Pick<TextOptions, "size" | "weight">,
): number {
  const font = fontOf(weight);
  const units = glyphsOf(content, font).reduce((sum, { advanceWidth = 0 }) => sum + advanceWidth, 0);
  return (units * size) / font.unitsPerEm;
}

/** A `<path>` of one line of text, letter by letter: captions need no ligatures. */
export function text(
  content: string,
  {
    x,
    y,
    size,
    weight = "normal",
    colour = "#1d2733",
    maxWidth = Number.POSITIVE_INFINITY,
    anchor = "start",
  }: TextOptions,
): string {
  const font = fontOf(weight);
  const scale = size / font.unitsPerEm;
  const widthOf = (line: string): number => textWidth(line, { size, weight });
  let shown = withoutMinus(content);
  while (shown.length > 1 && widthOf(shown) > maxWidth)
    shown = `${shown.replace(/…$/, "").slice(0, -1).trimEnd()}…`;
  let at = x - { start: 0, middle: 0.5, end: 1 }[anchor] * widthOf(shown);
  const paths = glyphsOf(shown, font).map((glyph) => {
    const path = pathData(glyph.getPath(at, y, size));
    at += (glyph.advanceWidth ?? 0) * scale;
    return path;
  });
  return `<path fill="${colour}" d="${paths.join("")}"/>`;
}
