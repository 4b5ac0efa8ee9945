/** The confusion matrix as a figure: rows are labels, columns answers. */
import type { Figure } from "./draw.ts";

/** So many classes still make cells that can be seen. */
export const LARGEST_MATRIX = 40;

/** Rows are labels, columns answers: the share of the label's pictures. `counts`: [K, K], row-major. */
export function confusionFigure(
  { counts, classes }: { counts: Uint32Array; classes: readonly string[] },
  { title }: { title: string },
): Figure {
  const k = classes.length;
  const values = classes.flatMap((label, row) => {
    const own = counts.subarray(row * k, (row + 1) * k);
    const total = Math.max(
      1,
      own.reduce((sum, count) => sum + count, 0),
    );
    return classes.map((answer, column) => {
      const count = own[column] ?? 0;
      const share = count / total;
      return { label, answer, share, count, strong: share > 0.5, shown: count === 0 ? "" : String(count) };
    });
  });
  const step = Math.max(16, Math.min(44, Math.round(640 / k)));
  const axis = { labelLimit: 160, ticks: false, domain: false };
  return ({ surface, ink, heat }) => ({
    title: { text: title, subtitle: "Images of each label (row) by answer (column)" },
    data: { values },
    width: { step },
    height: { step },
    encoding: {
      x: {
        field: "answer",
        type: "nominal",
        sort: [...classes],
        axis: { ...axis, title: null, orient: "top", labelAngle: -45, labelColor: ink },
      },
      y: {
        field: "label",
        type: "nominal",
        sort: [...classes],
        axis: { ...axis, title: null, labelColor: ink },
      },
    },
    layer: [
      {
        mark: { type: "rect", cornerRadius: 2, stroke: surface, strokeWidth: 1.5 },
        encoding: {
          color: {
            field: "share",
            type: "quantitative",
            scale: { domain: [0, 1], range: [...heat] },
            legend: null,
          },
        },
      },
      ...(step < 22
        ? []
        : [
            {
              mark: { type: "text" as const, fontSize: step < 32 ? 9 : 11 },
              encoding: {
                text: { field: "shown" },
                color: { condition: { test: "datum.strong", value: surface }, value: ink },
              },
            },
          ]),
    ],
  });
}
