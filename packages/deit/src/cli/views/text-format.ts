/** Numbers, times and tables as people read them. Pure. */

import { oneLine } from "../../printable.ts";

/** `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "unknown";
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [d, h, min, s] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  if (d > 0) return `${d} d ${h} h`;
  if (h > 0) return `${h} h ${min} min`;
  return min > 0 ? `${min} min ${s} s` : `${s} s`;
}

/** `5,717,416` */
export function integer(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Three or four digits that matter: `512`, `14.6`, `0.0312`. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return integer(value);
  return Number(value.toPrecision(3)).toString();
}

/** `12 MiB`, `1.3 GiB`, from MiB. */
export function mebibytes(value: number): string {
  return value < 1024 ? `${Math.ceil(value)} MiB` : `${(value / 1024).toFixed(1)} GiB`;
}

/** Signs that take two columns of a terminal. */
const WIDE =
  /^(?:\p{Emoji_Presentation}|[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303e\uff01-\uff60])/u;
const signs = new Intl.Segmenter("en", { granularity: "grapheme" });

/** Columns of a terminal that a text takes. */
function columnsOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  return [...signs.segment(text)].reduce((sum, { segment }) => sum + (WIDE.test(segment) ? 2 : 1), 0);
}

/** Columns of a cell to which the others are set; of one that is wider its own row is longer. */
const WIDEST = 80;

/** Columns as wide as their widest cell; columns named in `right` are flushed right. */
export function table(
  rows: readonly (readonly string[])[],
  { right = [] }: { right?: readonly number[] } = {},
): string {
  const widths: number[] = [];
  rows = rows.map((row) => row.map(oneLine));
  for (const row of rows)
    for (const [i, cell] of row.entries())
      widths[i] = Math.max(widths[i] ?? 0, Math.min(columnsOf(cell), WIDEST));
  const pad = (cell: string, i: number): string => {
    const blanks = " ".repeat(Math.max(0, (widths[i] ?? 0) - columnsOf(cell)));
    return right.includes(i) ? blanks + cell : cell + blanks;
  };
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}

/** `1 request`, `2,000 requests`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${integer(count)} ${count === 1 ? one : many}`;
}

/** `name  value` lines. */
export function facts(pairs: readonly (readonly [name: string, value: string | undefined])[]): string {
  return table(pairs.flatMap(([name, value]) => (value === undefined ? [] : [[`  ${name}`, value]])));
}
