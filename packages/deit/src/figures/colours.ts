/**
 * The colours of pages and charts by what they mean, in light and dark. Charts name them as CSS variables, so that one drawing
 * serves both; neighbours of SERIES are told apart without colour vision, too.
 */
const COLOURS = {
  page: ["#f6f6f3", "#121316"],
  surface: ["#ffffff", "#1a1c20"],
  ink: ["#1c1e22", "#e8e7e3"],
  muted: ["#666b74", "#9a9ea7"],
  rule: ["#e3e3de", "#2d3036"],
  "on-fill": ["#fefefe", "#0e1116"],
  blue: ["#2d5f9e", "#82aeea"],
  orange: ["#cd6231", "#ec9468"],
  green: ["#3c8a63", "#7fc9a3"],
  violet: ["#8a5aa8", "#c49be0"],
  gold: ["#b08a1e", "#dcbb5c"],
  teal: ["#3a9aa8", "#7ccbd6"],
  rose: ["#a8485f", "#e28aa0"],
} as const;

export type ColourName = keyof typeof COLOURS;
export type Theme = "light" | "dark";

const NAMES = Object.keys(COLOURS) as ColourName[];

/** A colour as charts write it. */
export function colour(name: ColourName): string {
  return `var(--${name})`;
}

/** Of many series, in order. */
const SERIES = ["blue", "orange", "green", "violet", "gold", "teal", "rose", "muted"] as const;

/** Colours that differ. */
export const SERIES_LENGTH = SERIES.length;

/** The colour of series i, from 0; after the eighth they begin again. */
export function seriesColour(i: number): string {
  return colour(SERIES[i % SERIES.length] ?? "blue");
}

/** A colour of one theme, for images: `#2d5f9e`. */
export function trueColour(name: ColourName, theme: Theme = "light"): string {
  return COLOURS[name][theme === "light" ? 0 : 1];
}

/** The variables as CSS: `--blue: #2d5f9e; …` */
export function colourVariables(theme: Theme): string {
  return NAMES.map((name) => `--${name}: ${trueColour(name, theme)};`).join(" ");
}

/**
 * A drawing that stands by itself, as a file: light colours as every program knows them, and dark ones for those that ask
 * the reader's system.
 */
export function standAlone(svg: string): string {
  const used = NAMES.filter((name) => svg.includes(colour(name)));
  const dark = used.flatMap((name) =>
    ["fill", "stroke"].map((of) => `[${of}="${trueColour(name)}"]{${of}:${trueColour(name, "dark")}}`),
  );
  const style = `<style>@media (prefers-color-scheme: dark){${dark.join("")}}</style>`;
  return literal(svg, "light").replace(/^<svg[^>]*>/, (start) => `${start}${style}`);
}

/** With the colours of one theme, for programs that know no variables. */
export function literal(svg: string, theme: Theme): string {
  // text has no quotes of its own: html.ts escapes them
  return svg.replaceAll(/="var\(--([a-z-]+)\)"/g, (whole, name: string) =>
    name in COLOURS ? `="${trueColour(name as ColourName, theme)}"` : whole,
  );
}
