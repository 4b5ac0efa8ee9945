/** The figures and the page of `deit analyze tokens`. */
import {
  area,
  colour,
  dots,
  labels,
  line,
  nameAxis,
  numberAxis,
  percentLabel,
  seriesColour,
} from "deit-ts/charts";
import type { AnalysisContent, Axis, Chart, PageSection } from "deit-ts/charts";
import type { TokenName } from "deit-ts/models";
import type { TokensResult } from "./tokens.ts";
import { attentionOf, layerMeans } from "./tokens.ts";

const WIDTH = 520;
const HEIGHT = 240;
/** The paper's values for DeiT-B⚗: as parameters, and at the last layer. */
const PAPER_SIMILARITY = { parameters: 0.06, last: 0.93 } as const;

/** Figures by the names of their files; what a plain model does not have is left out. */
export function tokensFigures(result: TokensResult): Record<string, Chart> {
  return {
    ...(result.similarity && { "token-similarity": similarityFigure(result) }),
    "token-attention": sharesFigure(result),
    "patches-looked-at": patchesFigure(result),
    "attention-distance": distanceFigure(result),
  };
}

/** Cosine of both tokens from the parameters to what the heads see, with one deviation over the images. */
function similarityFigure({ similarity, layers }: TokensResult): Chart {
  if (similarity === null) throw new TypeError("a plain model has no two tokens");
  const { parameters, embedding, final } = similarity;
  const places = [
    { place: "learned", mean: parameters, deviation: 0 },
    { place: "embedded", mean: embedding, deviation: 0 },
    ...similarity.layers.map((spread, i) => ({ place: String(i + 1), ...spread })),
    { place: "norm", ...final },
  ].map(({ place, mean, deviation }, x) => ({
    place,
    x,
    y: mean,
    low: mean - deviation,
    high: mean + deviation,
    title: `${place}: ${mean.toFixed(3)}`,
  }));
  const ends = places.filter(({ place }) => place === "learned" || place === "norm");
  return {
    description: "Cosine of class and distillation token from the parameters to the final norm",
    title: "How alike class and distillation token are",
    subtitle: `Cosine from the parameters through ${layers} layers to the final norm; band: one deviation over the images`,
    panels: [
      {
        width: WIDTH,
        height: HEIGHT,
        x: nameAxis(
          places.map(({ place }) => place),
          { title: "after layer" },
        ),
        y: numberAxis(
          places.flatMap(({ low, high }) => [low, high]),
          { title: "cosine", zero: true },
        ),
        marks: [
          area(places, { colour: colour("blue") }),
          line(places, { colour: colour("blue") }),
          dots(places, { colour: colour("blue") }),
          labels(
            ends.map((end) => ({ ...end, label: end.y.toFixed(3), dy: -10 })),
            { colour: colour("muted") },
          ),
        ],
      },
    ],
  };
}

/** Where each token's attention goes, layer by layer, mean of the heads. */
function sharesFigure(result: TokensResult): Chart {
  const goals = [
    { to: "patches", what: "patches" },
    { to: "itself", what: "self" },
    ...(result.similarity ? [{ to: "the other", what: "other" } as const] : []),
  ] as const;
  return {
    description: "Parts of the tokens' attention by layer",
    title: "Where the tokens' attention goes",
    subtitle: "Parts of a layer's attention, mean of its heads and of the images",
    key: goals.map(({ to }, i) => ({ label: `to ${to}`, colour: seriesColour(i) })),
    columns: 2,
    panels: tokensOf(result).map((token) => ({
      title: `the ${token} token's`,
      width: result.similarity ? WIDTH / 2 : WIDTH,
      height: HEIGHT,
      x: layerAxis(result),
      y: numberAxis([], { title: "part of the attention", domain: [0, 1], format: percentLabel }),
      marks: goals.flatMap(({ what, to }, i) => {
        const points = layerMeans(result, (head) => attentionOf(head, token)?.[what] ?? Number.NaN).map(
          (y, layer) => ({ x: layer + 1, y, title: `layer ${layer + 1}, to ${to}: ${percentLabel(y)}` }),
        );
        return [line(points, { colour: seriesColour(i) }), dots(points, { colour: seriesColour(i) })];
      }),
    })),
  };
}

/** Over how many patches a token's attention is spread, each head a dot. */
function patchesFigure(result: TokensResult): Chart {
  const tokens = tokensOf(result);
  const of = tokens.map((token) => {
    const patches = (head: TokensResult["attention"][number]): number =>
      attentionOf(head, token)?.effectivePatches ?? Number.NaN;
    return {
      heads: result.attention.map((head) => ({
        x: head.layer,
        y: patches(head),
        title: `layer ${head.layer}, head ${head.head}: ${patches(head).toFixed(1)} patches`,
      })),
      means: layerMeans(result, patches).map((y, layer) => ({ x: layer + 1, y })),
    };
  });
  return {
    description: "Number of patches that the tokens look at by layer",
    title: "How many patches the tokens look at",
    subtitle: `e to the entropy of their attention among the ${result.patches} patches; a dot is a head, the line the mean`,
    ...(tokens.length > 1 && {
      key: tokens.map((token, i) => ({ label: `${token} token`, colour: seriesColour(i) })),
    }),
    panels: [
      {
        width: WIDTH,
        height: HEIGHT,
        x: layerAxis(result),
        y: numberAxis(
          of.flatMap(({ heads }) => heads.map(({ y }) => y)),
          { title: "patches", zero: true },
        ),
        marks: of.flatMap(({ heads, means }, i) => [
          dots(heads, { colour: seriesColour(i), opacity: 0.55 }),
          line(means, { colour: seriesColour(i) }),
        ]),
      },
    ],
  };
}

/** How far patches look: the ViT paper's Figure 7 (right). */
function distanceFigure(result: TokensResult): Chart {
  const heads = result.attention.map(({ layer, head, patchDistance }) => ({
    x: layer,
    y: patchDistance,
    title: `layer ${layer}, head ${head}: ${patchDistance.toFixed(1)} pixels`,
  }));
  return {
    description: "Mean attention distance of patches by layer and head",
    title: "How far patches look",
    subtitle: `Mean distance of what a patch attends to, in pixels of ${result.inputSize[1]} × ${result.inputSize[0]}; a dot is a head`,
    panels: [
      {
        width: WIDTH,
        height: HEIGHT,
        x: layerAxis(result),
        y: numberAxis(
          heads.map(({ y }) => y),
          { title: "pixels", zero: true },
        ),
        marks: [dots(heads, { colour: colour("blue"), radius: 3.5, opacity: 0.75 })],
      },
    ],
  };
}

function layerAxis({ layers }: TokensResult): Axis {
  return numberAxis([1, layers], { title: "layer", whole: true, room: 0.3, distance: 24 });
}

function tokensOf({ similarity }: TokensResult): readonly TokenName[] {
  return similarity ? ["class", "distillation"] : ["class"];
}

/** The page: each figure with what it says, and all numbers. */
export function tokensPage(result: TokensResult, figures: Record<string, Chart>): AnalysisContent["page"] {
  const { similarity, model, images, inputSize, layers, headsPerLayer } = result;
  const sections: PageSection[] = [
    ...(similarity
      ? [
          {
            title: "How alike the two tokens are",
            lead: `The paper (§4) has ${PAPER_SIMILARITY.parameters} as parameters and ${PAPER_SIMILARITY.last} at the last layer: alike, but not the same. Two class tokens, taught the same, become one (0.999).`,
            ...figureOf(figures, "token-similarity"),
          },
        ]
      : []),
    { title: "Where attention goes", ...figureOf(figures, "token-attention") },
    {
      title: "How much of the image a token looks at",
      ...figureOf(figures, "patches-looked-at"),
    },
    {
      title: "How far patches look",
      lead: "As in the ViT paper (Figure 7): early layers have heads that look around themselves, as a convolution does, beside heads that look at everything.",
      ...figureOf(figures, "attention-distance"),
    },
    { title: "All numbers", table: numbersTable(result) },
  ];
  return {
    kind: "Tokens",
    title: `The tokens of ${model}`,
    lead: `${images} images at ${inputSize[1]} × ${inputSize[0]}, ${layers} layers of ${headsPerLayer} heads.${
      similarity
        ? ""
        : " A plain model has only a class token, so there is no similarity to measure: shown are what the class token attends to, and the attention distance of patches."
    }`,
    sections,
  };
}

function figureOf(figures: Record<string, Chart>, name: string): { figure?: Chart } {
  const figure = figures[name];
  return figure ? { figure } : {};
}

function numbersTable(result: TokensResult): NonNullable<PageSection["table"]> {
  const { head, rows } = csvRows(result);
  return {
    head,
    rows: rows.map((row) =>
      row.map((cell) => (Number.isInteger(cell) ? cell : typeof cell === "number" ? cell.toFixed(3) : cell)),
    ),
    right: head.map((_, i) => i),
  };
}

/** A row a head, for tables. */
export function csvRows(result: TokensResult): { head: string[]; rows: (string | number)[][] } {
  const tokens = tokensOf(result);
  const fields = ["self", "other", "patches", "entropy", "effectivePatches", "spread"] as const;
  const wanted = fields.filter((field) => result.similarity !== null || field !== "other");
  return {
    head: [
      "layer",
      "head",
      ...tokens.flatMap((token) => wanted.map((field) => `${token} ${field}`)),
      ...(result.similarity ? ["overlap"] : []),
      "patchDistance",
    ],
    rows: result.attention.map((head) => [
      head.layer,
      head.head,
      ...tokens.flatMap((token) => wanted.map((field) => attentionOf(head, token)?.[field] ?? "")),
      ...(head.overlap === undefined ? [] : [head.overlap]),
      head.patchDistance,
    ]),
  };
}
