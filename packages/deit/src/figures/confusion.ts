/** The confusion matrix as a chart: rows are labels, columns answers. */
import { nameAxis } from "./axis.ts";
import type { Chart } from "./chart.ts";
import { colour } from "./colours.ts";
import { cells, labels } from "./marks.ts";

/** So many classes still make cells that can be seen. */
export const LARGEST_MATRIX = 40;

/** `counts`: [K, K], row-major; the colour is the share of the label's images. */
export function confusionChart(
  { counts, classes }: { counts: Uint32Array; classes: readonly string[] },
  { title }: { title: string },
): Chart {
  const k = classes.length;
  const values = classes.flatMap((label, row) => {
    const own = counts.subarray(row * k, (row + 1) * k);
    const total = own.reduce((sum, count) => sum + count, 0);
    return classes.map((answer, column) => {
      const count = own[column] ?? 0;
      return {
        x: column,
        y: row,
        share: count / Math.max(1, total),
        lines: count === 0 ? [] : [String(count)],
        title: `${label}: ${count} of ${total} images predicted as ${answer}`,
      };
    });
  });
  const without = classes.flatMap((_, y) =>
    counts.subarray(y * k, (y + 1) * k).every((count) => count === 0)
      ? [{ x: 0, y, label: "no images" }]
      : [],
  );
  const step = Math.max(18, Math.min(44, Math.round(640 / k)));
  return {
    description: `${title}: images of each class by prediction`,
    title,
    subtitle: "Images of each class (row) by prediction (column)",
    panels: [
      {
        x: nameAxis(classes, { step }),
        y: nameAxis(classes, { step }),
        namesAbove: true,
        marks: [
          cells(values, { colour: colour("blue"), size: step < 32 ? 9 : 12 }),
          labels(
            without.map((row) => ({ ...row, anchor: "start", dx: 6 - step / 2, dy: 4 })),
            { colour: colour("muted"), size: 11 },
          ),
        ],
      },
    ],
  };
}
