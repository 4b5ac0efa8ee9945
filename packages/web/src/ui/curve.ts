/** Two small curves over the epochs, as SVG: losses, and the share of held-out images that is right. */
import type { EpochPoint } from "../state/improvement.ts";
import { TEXT } from "../texts.ts";
import { h, svg } from "./dom.ts";

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [340, 120, 34, 18, 8];

export function curves(points: readonly EpochPoint[], epochs: number): HTMLElement {
  const losses = points.flatMap(({ trainLoss, testLoss }) => [trainLoss, testLoss]);
  return h(
    "div",
    { class: "curves" },
    chart({
      title: TEXT.better.lossCurve,
      epochs,
      top: Math.max(0.1, ...losses),
      unit: "",
      lines: [
        {
          name: TEXT.better.trainLoss,
          kind: "train",
          values: points.map(({ epoch, trainLoss }) => [epoch, trainLoss]),
        },
        {
          name: TEXT.better.testLoss,
          kind: "test",
          values: points.map(({ epoch, testLoss }) => [epoch, testLoss]),
        },
      ],
    }),
    chart({
      title: TEXT.better.accCurve,
      epochs,
      top: 100,
      unit: " %",
      lines: [
        { name: TEXT.better.accCurve, kind: "test", values: points.map(({ epoch, acc1 }) => [epoch, acc1]) },
      ],
    }),
  );
}

interface Line {
  readonly name: string;
  readonly kind: "train" | "test";
  readonly values: readonly (readonly [epoch: number, value: number])[];
}

function chart({
  title,
  epochs,
  top,
  unit,
  lines,
}: {
  title: string;
  epochs: number;
  top: number;
  unit: string;
  lines: readonly Line[];
}): HTMLElement {
  const x = (epoch: number): number => LEFT + ((WIDTH - LEFT - 8) * epoch) / Math.max(1, epochs - 1);
  const y = (value: number): number => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const last = lines
    .map(({ name, values }) => `${name} ${values.at(-1)?.[1].toFixed(2) ?? "–"}${unit}`)
    .join(", ");
  const tick = (value: number): SVGElement[] => [
    svg("line", { x1: LEFT, x2: WIDTH - 8, y1: y(value), y2: y(value), class: "grid" }),
    svg(
      "text",
      { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" },
      value < 10 && value > 0 ? value.toFixed(1) : String(Math.round(value)),
    ),
  ];
  return h(
    "figure",
    { class: "chart" },
    h(
      "figcaption",
      { class: "small" },
      title,
      lines.length > 1 &&
        h(
          "span",
          { class: "legend muted" },
          ...lines.map(({ name, kind }) => h("span", { class: `key ${kind}` }, name)),
        ),
    ),
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${last}` },
      ...[0, top / 2, top].flatMap(tick),
      svg("text", { x: LEFT, y: HEIGHT - 2 }, "1"),
      svg("text", { x: WIDTH - 8, y: HEIGHT - 2, "text-anchor": "end" }, TEXT.better.epochAxis(epochs)),
      ...lines.flatMap(({ kind, values }) => [
        svg("polyline", {
          class: `line ${kind}`,
          points: values.map(([epoch, value]) => `${x(epoch)},${y(value)}`).join(" "),
        }),
        ...values
          .slice(-1)
          .map(([epoch, value]) => svg("circle", { class: `dot-${kind}`, cx: x(epoch), cy: y(value), r: 3 })),
      ]),
    ),
  );
}

/** One line over named places, between −1 or 0 and 1. */
export function lineChart({
  title,
  values,
  names,
}: {
  title: string;
  values: readonly number[];
  names: readonly string[];
}): HTMLElement {
  const [low, high] = [Math.min(0, ...values), 1];
  const x = (i: number): number => LEFT + ((WIDTH - LEFT - 8) * i) / Math.max(1, values.length - 1);
  const y = (value: number): number => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low));
  const said = values.map((value, i) => `${names[i] ?? i}: ${value.toFixed(2)}`).join(", ");
  return h(
    "figure",
    { class: "chart" },
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${said}` },
      ...[0, 0.5, 1].flatMap((value) => [
        svg("line", { x1: LEFT, x2: WIDTH - 8, y1: y(value), y2: y(value), class: "grid" }),
        svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(1)),
      ]),
      svg("polyline", {
        class: "line test",
        points: values.map((value, i) => `${x(i)},${y(value)}`).join(" "),
      }),
      ...values.map((value, i) =>
        svg(
          "circle",
          { class: "dot-test", cx: x(i), cy: y(value), r: 3 },
          svg("title", {}, `${names[i] ?? i}: ${value.toFixed(3)}`),
        ),
      ),
      svg("text", { x: LEFT, y: HEIGHT - 2 }, names[0] ?? ""),
      svg("text", { x: WIDTH - 8, y: HEIGHT - 2, "text-anchor": "end" }, names.at(-1) ?? ""),
    ),
  );
}
