/** Table 4 as a heat map: who answers like whom. */
import { cells, colour, nameAxis } from "deit-ts/charts";
import type { Chart } from "deit-ts/charts";
import type { Agreement } from "./agreement.ts";

/** From so many rows on there is no room for intervals in the cells. */
const CROWDED = 12;

/** Percent of images with different answers, ± half of the interval. */
export function agreementFigure({ models, disagreement, interval, images, dataset }: Agreement): Chart {
  const crowded = models.length >= CROWDED;
  const highest = Math.max(1e-9, ...disagreement.flat());
  const values = models.flatMap((row, y) =>
    models.flatMap((column, x) => {
      if (x === y) return [];
      const rate = disagreement[y]?.[x] ?? 0;
      const half = 50 * ((interval.high[y]?.[x] ?? 0) - (interval.low[y]?.[x] ?? 0));
      const lines = [(100 * rate).toFixed(1), ...(crowded ? [] : [`±${half.toFixed(1)}`])];
      return [{ x, y, share: rate / highest, lines, title: `${row} and ${column}` }];
    }),
  );
  return {
    description: "Share of images on which two classifiers disagree",
    title: "Disagreement",
    subtitle: `Percent of ${images.toLocaleString("en-US")} images of ${dataset} with different predictions, ± half of the 95 % interval`,
    panels: [
      {
        x: nameAxis(models, { step: crowded ? 46 : 68 }),
        y: nameAxis(models, { step: crowded ? 32 : 48 }),
        namesAbove: true,
        marks: [cells(values, { colour: colour("blue"), size: crowded ? 12 : 14, gap: 3 })],
      },
    ],
  };
}
