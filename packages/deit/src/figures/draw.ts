/**
 * Figures: Vega-Lite drawn without a screen, as SVG for a page or as files in light and dark. A figure is a function
 * of its colours, so that one description serves every theme.
 */
import sharp from "sharp";
import type { Config, TopLevelSpec } from "vega-lite";
import { printable } from "../printable.ts";
import { outlineText } from "./outline.ts";
import type { Palette, Theme } from "./palette.ts";
import { paletteOf, THEMES } from "./palette.ts";
import { textWidth, weightOf } from "./text.ts";

/** Colours in, a Vega-Lite chart out. Sizes in CSS pixels. */
export type Figure = (palette: Palette) => TopLevelSpec;

/** PNG pixels for each CSS pixel. */
const SCALE = 2;
const CSS_DPI = 72;

/** In scientific notation zero is "0e+0". */
export const ZERO_AS_ZERO = "datum.value === 0 ? '0' : datum.label";

function configOf({ surface, ink, muted, rule, series, heat }: Palette, theme: Theme): Config {
  return {
    background: theme === "page" ? "transparent" : surface,
    padding: theme === "page" ? 2 : 16,
    font: theme === "page" ? "inherit" : "Inter, system-ui, sans-serif",
    view: { stroke: null },
    title: {
      color: ink,
      subtitleColor: muted,
      anchor: "start",
      fontSize: 15,
      subtitleFontSize: 12,
      offset: 14,
    },
    text: { color: ink },
    legend: {
      labelColor: muted,
      titleColor: muted,
      labelFontSize: 12,
      titleFontSize: 12,
      titleFontWeight: "normal",
    },
    header: {
      labelColor: ink,
      titleColor: muted,
      labelFontSize: 12,
      titleFontSize: 12,
      titleFontWeight: "normal",
    },
    range: { category: [...series], heatmap: [...heat], ramp: [...heat] },
    axis: {
      labelColor: muted,
      titleColor: muted,
      gridColor: rule,
      domain: false,
      ticks: false,
      labelFontSize: 12,
      titleFontSize: 12,
      titleFontWeight: "normal",
      labelPadding: 8,
      titlePadding: 8,
      tickCount: 5,
    },
    axisX: { grid: false, domain: true, domainColor: rule },
  };
}

/** Loads Vega (a fifth of a second) only when something is drawn. */
export async function drawSvg(figure: Figure, theme: Theme): Promise<string> {
  const [vega, { compile }] = await Promise.all([import("vega"), import("vega-lite")]);
  measureLetters(vega);
  const palette = paletteOf(theme);
  const spec = compile(figure(palette), { config: configOf(palette, theme) }).spec;
  const view = new vega.View(vega.parse(spec), { renderer: "none" });
  try {
    return printable(await view.toSVG());
  } finally {
    view.finalize();
  }
}

interface TextMetrics {
  width: (
    item: { fontSize?: number; fontWeight?: string | number; limit?: number },
    content: unknown,
  ) => number;
}

/** Without a canvas Vega takes every letter for 0.8 of its height, and leaves that much room. Its types lack this. */
function measureLetters(vega: object): void {
  const { textMetrics } = vega as { textMetrics: TextMetrics };
  textMetrics.width = ({ fontSize = 11, fontWeight, limit = 0 }, content) => {
    const line = typeof content === "string" || typeof content === "number" ? String(content) : "";
    const width = textWidth(line, { size: fontSize, weight: weightOf(fontWeight) });
    return limit > 0 ? Math.min(width, limit) : width;
  };
}

/** PNG bytes; letters are drawn in a font that comes along. */
export async function drawPng(figure: Figure, theme: Exclude<Theme, "page">): Promise<Uint8Array> {
  return pngOf(await drawSvg(figure, theme));
}

/** A figure as files: NAME.svg, NAME.png, NAME-dark.svg and NAME-dark.png, one after the other, and their content. */
export async function* figureFiles(
  name: string,
  figure: Figure,
): AsyncGenerator<readonly [file: string, content: string | Uint8Array]> {
  for (const theme of THEMES) {
    const base = theme === "light" ? name : `${name}-${theme}`;
    const svg = await drawSvg(figure, theme);
    yield [`${base}.svg`, svg];
    yield [`${base}.png`, await pngOf(svg)];
  }
}

async function pngOf(svg: string): Promise<Uint8Array> {
  return sharp(Buffer.from(outlineText(svg)), { density: CSS_DPI * SCALE })
    .png()
    .toBuffer();
}
