/** The look of the page: one column on a phone, more beside each other where there is room; light and dark. */
import { colourVariables } from "./colours.ts";
import { FONTS } from "./text.ts";

export const STYLE = `
:root { color-scheme: light dark; ${colourVariables("light")} }
@media (prefers-color-scheme: dark) { :root { ${colourVariables("dark")} } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 ${FONTS};
}
main { max-width: 1120px; margin: 0 auto; padding: 28px 16px 64px; }
h1, h2, h3, p, figure, dl, dd, ul { margin: 0; padding: 0; }
h1 { font-size: 24px; line-height: 1.2; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 19px; font-weight: 650; letter-spacing: -.005em; margin: 48px 0 4px; }
h3 { font-size: 14px; font-weight: 650; }
.lead { color: var(--muted); max-width: 68ch; margin-bottom: 16px; }
.muted { color: var(--muted); }
.small { font-size: 13px; }
code, pre { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
header .kind { color: var(--muted); font-size: 13px; margin-bottom: 6px; overflow-wrap: anywhere; }
.hero { display: grid; gap: 20px; margin-top: 20px; }
.score b { display: block; white-space: nowrap; font-size: 60px; line-height: 1; font-weight: 680; letter-spacing: -.035em; color: var(--blue); }
.score b small { font-size: 28px; font-weight: 500; letter-spacing: 0; }
.score p { margin-top: 8px; max-width: 34ch; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(100px, 1fr)); gap: 14px; align-content: end; }
.facts dt { color: var(--muted); font-size: 13px; }
.facts dd { font-variant-numeric: tabular-nums; font-weight: 550; overflow-wrap: anywhere; }
.cards { display: grid; gap: 16px; grid-template-columns: minmax(0, 1fr); align-items: start; }
.three { align-items: stretch; grid-template-columns: repeat(auto-fit, minmax(min(100%, 290px), 1fr)); }
.card { background: var(--surface); border: 1px solid var(--rule); border-radius: 12px; padding: 16px; min-width: 0; }
section > .card + .card { margin-top: 16px; }
.card > h3 { margin-bottom: 8px; }
.key { color: var(--muted); font-size: 13px; margin-bottom: 8px; display: flex; flex-wrap: wrap; gap: 2px 14px; }
.key span::before {
  content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px;
  background: var(--colour); opacity: var(--strength, 1);
}
.chart svg { display: block; width: 100%; max-width: 560px; height: auto; margin: 0 auto; font-family: inherit; }
.figure svg, .figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
/* on a phone a wide one scrolls sideways before its letters are too small to read */
.figure.scroll svg { max-width: max(100%, 560px); }
.scroll { overflow-x: auto; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { font-weight: 550; color: var(--muted); font-size: 13px; }
th:last-child, td:last-child { padding-right: 0; }
tr:last-child > td, tr:last-child > th { border-bottom: 0; }
.number { text-align: right; white-space: nowrap; }
.name { overflow-wrap: break-word; }
.card.scroll td.name:first-child { min-width: 11em; }
.matrix { width: auto; margin: 0 auto; font-size: 12px; border-collapse: separate; border-spacing: 2px; }
.matrix th { border: 0; font-weight: 400; font-size: 12px; padding: 0; }
.matrix thead th { vertical-align: bottom; }
.matrix thead span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 9em; margin: 0 auto; display: block; }
.matrix tbody th { text-align: right; padding-right: 6px; vertical-align: middle; }
.matrix th span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.matrix tbody th span { display: block; max-width: 9em; }
.matrix td {
  border: 0; padding: 0; border-radius: 4px; text-align: center; vertical-align: middle;
  width: 44px; height: 40px; min-width: 24px; background: color-mix(in srgb, var(--fill) calc(100% * var(--share)), transparent);
}
.matrix .strong { color: var(--on-fill); }
.classes th[scope="row"] { max-width: 16em; font-weight: 400; color: var(--ink); font-size: 14px; }
.classes tbody td, .classes tbody th { vertical-align: middle; }
.classes .mean > *, .classes .mean > th[scope="row"] { font-weight: 650; }
.score-bar { display: grid; grid-template-columns: minmax(40px, 1fr) 4.4em; gap: 8px; align-items: center; min-width: 104px; }
.score-bar .figure { text-align: right; }
.files { list-style: none; }
.files li { padding: 6px 0; border-bottom: 1px solid var(--rule); font-size: 14px; }
.files li:last-child { border-bottom: 0; }
.files .small { display: block; }
.file { display: block; }
td.path { max-width: 22em; min-width: 9em; }
.matrix td.none { text-align: left; padding-left: 8px; background: none; }
.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(88px, 1fr)); gap: 16px 12px; margin-top: 12px; }
.images img { display: block; width: 100%; height: auto; aspect-ratio: 1; object-fit: cover; border-radius: 8px; background: var(--rule); }
.images figcaption { font-size: 13px; line-height: 1.35; margin-top: 6px; overflow-wrap: anywhere; }
.sheet { grid-template-columns: repeat(auto-fill, minmax(min(100%, 190px), 1fr)) !important; }
.answers { list-style: none; }
.answers li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 1px 8px; margin-top: 5px; }
.answers li:first-child { font-weight: 650; }
.answers .track { grid-column: 1 / -1; }
.track { display: block; height: 8px; border-radius: 4px; background: color-mix(in srgb, var(--blue) 14%, transparent); overflow: hidden; }
.track i { display: block; height: 100%; border-radius: 4px; background: var(--blue); width: calc(100% * var(--share)); }
.answers .track { height: 4px; }
.answers li:not(:first-child) i { opacity: .45; }
.cut { display: flex; min-width: 0; white-space: pre; }
.cut span:first-child { overflow: hidden; text-overflow: ellipsis; }
.cut span:last-child { flex: none; }
.stages { margin-top: 16px; }
.stages .row { display: flex; gap: 12px; padding-bottom: 4px; }
.stages figure { flex: none; width: 148px; }
.stages img { display: block; width: 148px; height: 148px; object-fit: contain; border-radius: 6px; background: var(--page); }
.stages figcaption { font-size: 12px; line-height: 1.35; margin-top: 5px; overflow-wrap: anywhere; }
img.pixels { image-rendering: pixelated; }
.right { color: var(--blue); } .wrong { color: var(--orange); }
pre { margin: 0; padding: 12px 14px; background: var(--page); border: 1px solid var(--rule); border-radius: 8px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
pre .word { display: inline-block; max-width: 100%; }
pre + p, p + pre { margin-top: 8px; }
.card > p + .scroll { margin-top: 10px; }
.card > p + h3, .card > pre + h3, .card > pre + p.small { margin-top: 14px; }
details { margin-top: 14px; }
summary { cursor: pointer; color: var(--muted); font-size: 14px; }
details[open] > summary { margin-bottom: 10px; }
.options td:first-child { white-space: nowrap; }
.options .name { overflow-wrap: anywhere; }
.options .changed td:nth-child(2) { color: var(--blue); font-weight: 600; }
.group th { padding-top: 16px; }
footer { margin-top: 56px; color: var(--muted); font-size: 13px; }
@media (max-width: 560px) {
  .score-bar { display: block; min-width: 0; text-align: right; white-space: nowrap; }
  .score-bar .track { display: none; }
  .classes th:nth-child(n + 2) { text-align: right; }
  .classes th, .classes td { padding-right: 8px; }
  .classes td { font-size: 13px; }
  .matrix { border-spacing: 1px; }
  .matrix, .matrix th { font-size: 11px; }
  .matrix td { width: 26px; height: 28px; border-radius: 3px; }
  .matrix tbody th span { max-width: 6.5em; }
}
@media (min-width: 760px) {
  main { padding: 48px 32px 96px; }
  h1 { font-size: 30px; }
  .facts { grid-template-columns: repeat(3, minmax(0, 1fr)); }
  .hero { grid-template-columns: minmax(260px, 1fr) 2fr; gap: 48px; }
  .score b { font-size: 76px; }
  .two { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .images { grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 20px 16px; }
}
@media (min-width: 960px) {
  .wide-first { grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); }
}
`;
