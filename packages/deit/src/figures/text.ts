/**
 * Text of charts and sheets: SVG's <text> in the system's font. Which font that is shows only where it is drawn, so room is
 * kept for a wide one (DejaVu Sans, the default of many Linux systems); Helvetica, Segoe UI and Roboto are a tenth narrower.
 */
import type { Html } from "./html.ts";
import { shape } from "./shape.ts";

export const FONTS = `system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif`;

/** Advance widths of DejaVu Sans from U+0020 to U+007E, two digits each, in fiftieths of the font size. */
const WIDTHS =
  "1620234232483914202025421618161732323232323232323232171742424227503434353932293938151533284337393039353231373449343134201720422525313227323118323214142914493231323221262032304130302632173242";
const BOLD = 1.1;
/** Of other letters: Latin, Greek and Cyrillic; Chinese, Japanese, Korean and emoji; what stands above or below a letter. */
const [OTHER, WIDE, NONE] = [0.7, 1.05, 0];

export interface Letters {
  /** In pixels. */
  readonly size: number;
  readonly bold?: boolean;
}

export interface TextOptions extends Letters {
  readonly x: number;
  /** Of the baseline. */
  readonly y: number;
  readonly colour?: string;
  /** Longer text is cut in the middle: names often differ at their end. */
  readonly maxWidth?: number;
  /** What of the line stands at x. */
  readonly anchor?: "start" | "middle" | "end";
  /** Degrees clockwise around (x, y). */
  readonly turned?: number;
}

/** Room for a line of text, in pixels. */
export function textWidth(content: string, { size, bold = false }: Letters): number {
  const ems = Array.from(content).reduce((sum, letter) => sum + letterWidth(letter), 0);
  return ems * size * (bold ? BOLD : 1);
}

function letterWidth(letter: string): number {
  const code = letter.codePointAt(0) ?? 0;
  if (code >= 0x20 && code < 0x7f) return Number(WIDTHS.slice(2 * code - 64, 2 * code - 62)) / 50;
  if (/\p{M}/u.test(letter)) return NONE;
  return code >= 0x1100 ? (/[…–—‘-”•]/.test(letter) ? OTHER : WIDE) : OTHER;
}

/** The text, or both its ends around "…" where it is longer than `maxWidth` pixels. */
export function fitText(content: string, { maxWidth, ...letters }: Letters & { maxWidth: number }): string {
  if (textWidth(content, letters) <= maxWidth) return content;
  const all = Array.from(content);
  for (let kept = all.length - 1; kept > 1; kept--) {
    const shown = cutMiddle(all, kept);
    if (textWidth(shown, letters) <= maxWidth) return shown;
  }
  return "…";
}

/** So many letters of both ends: `IMG_2024…_0412.jpg`. */
function cutMiddle(letters: readonly string[], kept: number): string {
  const end = Math.ceil(kept / 2);
  return `${letters
    .slice(0, kept - end)
    .join("")
    .trimEnd()}…${letters.slice(-end).join("").trimStart()}`;
}

/** Lines of at most `maxWidth` pixels, broken between words. */
export function wrapText(
  content: string,
  { maxWidth, ...letters }: Letters & { maxWidth: number },
): string[] {
  const lines: string[] = [];
  for (const word of content.split(" ")) {
    const longer = `${lines.at(-1) ?? ""} ${word}`;
    if (lines.length > 0 && textWidth(longer, letters) <= maxWidth) lines.splice(-1, 1, longer);
    else lines.push(word);
  }
  return lines;
}

/** One line of text. */
export function text(
  content: string,
  { x, y, colour = "var(--ink)", maxWidth, anchor = "start", turned, ...letters }: TextOptions,
): Html {
  const shown = maxWidth === undefined ? content : fitText(content, { ...letters, maxWidth });
  return shape(
    "text",
    {
      x,
      y,
      "font-size": letters.size,
      "font-weight": letters.bold === true ? 600 : undefined,
      fill: colour,
      "text-anchor": anchor === "start" ? undefined : anchor,
      transform: turned === undefined ? undefined : `rotate(${turned} ${x.toFixed(2)} ${y.toFixed(2)})`,
    },
    shown,
    shown !== content && shape("title", {}, content),
  );
}
