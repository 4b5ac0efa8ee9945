/** Table 4 as a heat map: who answers like whom. */
import type { Figure } from "../figures/draw.ts";
import type { Agreement } from "./agreement.ts";

/** From so many rows on there is no room for intervals in the cells. */
const CROWDED = 12;

/** Percent of pictures with different answers, ± half of the interval. */
export function agreementFigure({ models, disagreement, interval, images, dataset }: Agreement): Figure {
  const crowded = models.length >= CROWDED;
  const cell = crowded ? 44 : 68;
  const highest = Math.max(1e-9, ...disagreement.flat());
  const values = models.flatMap((row, r) =>
    models.flatMap((column, c) => {
      if (r === c) return [];
      const rate = disagreement[r]?.[c] ?? 0;
      const [low = 0, high = 0] = [interval.low[r]?.[c], interval.high[r]?.[c]];
      return [
        {
          row,
          column,
          rate,
          shown: (100 * rate).toFixed(1),
          width: `±${(50 * (high - low)).toFixed(1)}`,
          strong: rate > 0.55 * highest,
        },
      ];
    }),
  );
  return ({ surface, ink, muted, heat }) => {
    const onCell = { condition: { test: "datum.strong", value: surface }, value: ink };
    return {
      title: {
        text: "Disagreement",
        subtitle: [
          `Percent of ${images.toLocaleString("en-US")} images of ${dataset}`,
          "with different answers, ± half of the 95 % interval",
        ],
      },
      data: { values },
      width: { step: cell },
      height: { step: crowded ? 32 : 48 },
      encoding: {
        x: {
          field: "column",
          type: "nominal",
          sort: [...models],
          scale: { domain: [...models] },
          axis: {
            title: null,
            orient: "top",
            labelAngle: -40,
            labelLimit: 240,
            domain: false,
            labelColor: ink,
          },
        },
        y: {
          field: "row",
          type: "nominal",
          sort: [...models],
          scale: { domain: [...models] },
          axis: { title: null, labelLimit: 280, labelColor: ink },
        },
      },
      layer: [
        {
          mark: { type: "rect", cornerRadius: 4, stroke: surface, strokeWidth: 3 },
          encoding: {
            color: {
              field: "rate",
              type: "quantitative",
              scale: { domain: [0, highest], range: [...heat] },
              legend: null,
            },
          },
        },
        {
          mark: { type: "text", fontSize: crowded ? 12 : 14, fontWeight: 600, dy: crowded ? 0 : -6 },
          encoding: { text: { field: "shown" }, color: onCell },
        },
        ...(crowded
          ? []
          : [
              {
                mark: { type: "text" as const, fontSize: 11, dy: 10 },
                encoding: {
                  text: { field: "width" },
                  color: { condition: { test: "datum.strong", value: surface }, value: muted },
                },
              },
            ]),
      ],
    };
  };
}
