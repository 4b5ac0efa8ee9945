/**
 * `deit-ts/charts`: charts, tables and pages as reports have them: plain SVG and HTML, light and dark, for programs that write beside
 * them. Node only.
 */
export { shortName } from "./class-names.ts";
export { logAxis, nameAxis, numberAxis, percentLabel, plainNumber } from "./figures/axis.ts";
export type { Axis } from "./figures/axis.ts";
export { chartFile } from "./figures/chart.ts";
export type { Chart, KeyEntry, Panel } from "./figures/chart.ts";
export { COLOUR_TABLE, cssColour } from "./figures/colour-map.ts";
export { colour, seriesColour, trueColour } from "./figures/colours.ts";
export type { Theme } from "./figures/colours.ts";
export { Html, html } from "./figures/html.ts";
export { marksLayer } from "./figures/layer.ts";
export { area, cells, dots, labels, line, segments, strokes } from "./figures/marks.ts";
export type { Mark, Point, Style } from "./figures/marks.ts";
export { aroundSections, embeddedImage, sectionText } from "./figures/page.ts";
export type { PageSection, PageTable } from "./figures/page.ts";
export { placeLabels } from "./figures/place-labels.ts";
export { shape } from "./figures/shape.ts";
export { text, textWidth } from "./figures/text.ts";
export { writeAnalysis } from "./report/analysis-folder.ts";
export type { AnalysisContent } from "./report/analysis-folder.ts";
