/** The colours of figures, by what they mean. `page` are the CSS variables of style.ts: such a figure follows its page's light and dark. */
export interface Palette {
  readonly surface: string;
  readonly ink: string;
  readonly muted: string;
  readonly rule: string;
  /** The first three series, or one thing against another. */
  readonly blue: string;
  readonly orange: string;
  readonly green: string;
  /** Of many series, in order; neighbours are told apart without colour vision, too. */
  readonly series: readonly string[];
  /** Of a heat map, from nothing to all. Not for `page`: a ramp needs true colours. */
  readonly heat: readonly [none: string, all: string];
}

export const THEMES = ["light", "dark"] as const;
export type Theme = (typeof THEMES)[number] | "page";

const LIGHT: Palette = {
  surface: "#ffffff",
  ink: "#1c1e22",
  muted: "#666b74",
  rule: "#e3e3de",
  blue: "#2d5f9e",
  orange: "#cd6231",
  green: "#3c8a63",
  series: ["#2d5f9e", "#cd6231", "#3c8a63", "#8a5aa8", "#b08a1e", "#3a9aa8", "#a8485f", "#666b74"],
  heat: ["#f3f5f8", "#0b4a8f"],
};

const DARK: Palette = {
  surface: "#1a1c20",
  ink: "#e8e7e3",
  muted: "#9a9ea7",
  rule: "#2d3036",
  blue: "#82aeea",
  orange: "#ec9468",
  green: "#7fc9a3",
  series: ["#82aeea", "#ec9468", "#7fc9a3", "#c49be0", "#dcbb5c", "#7ccbd6", "#e28aa0", "#9a9ea7"],
  heat: ["#22262d", "#8fbcf5"],
};

const PAGE: Palette = {
  ...LIGHT,
  surface: "var(--surface)",
  ink: "var(--ink)",
  muted: "var(--muted)",
  rule: "var(--rule)",
  blue: "var(--blue)",
  orange: "var(--orange)",
  green: "var(--green)",
};

export function paletteOf(theme: Theme): Palette {
  return { light: LIGHT, dark: DARK, page: PAGE }[theme];
}
