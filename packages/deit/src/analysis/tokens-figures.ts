/** The figures and the page of `deit analyze tokens`. */
import type { Figure } from "../figures/draw.ts";
import type { PageSection } from "../figures/page.ts";
import type { AnalysisContent } from "./analysis-folder.ts";
import type { TokenName } from "../evaluation/intermediates.ts";
import type { TokensResult } from "./tokens.ts";
import { attentionOf, layerMeans } from "./tokens.ts";

const WIDTH = 520;
const HEIGHT = 240;
/** The paper's values for DeiT-B⚗: as parameters, and at the last layer. */
const PAPER_SIMILARITY = { parameters: 0.06, last: 0.93 } as const;

/** Figures by the names of their files; what a plain model does not have is left out. */
export function tokensFigures(result: TokensResult): Record<string, Figure> {
  return {
    ...(result.similarity && { "token-similarity": similarityFigure(result) }),
    "token-attention": sharesFigure(result),
    "patches-looked-at": patchesFigure(result),
    "attention-distance": distanceFigure(result),
  };
}

/** Cosine of both tokens from the parameters to what the heads see, with one deviation over the pictures. */
function similarityFigure({ similarity, layers }: TokensResult): Figure {
  if (similarity === null) throw new TypeError("a plain model has no two tokens");
  const { parameters, embedding, final } = similarity;
  const places = [
    { place: "learned", mean: parameters, deviation: 0 },
    { place: "embedded", mean: embedding, deviation: 0 },
    ...similarity.layers.map((spread, i) => ({ place: String(i + 1), ...spread })),
    { place: "norm", ...final },
  ].map((row) => ({ ...row, low: row.mean - row.deviation, high: row.mean + row.deviation }));
  const order = places.map(({ place }) => place);
  return ({ blue, muted }) => ({
    width: WIDTH,
    height: HEIGHT,
    title: {
      text: "How alike class and distillation token are",
      subtitle: `cosine from the parameters through ${layers} layers to the final norm; band: one deviation over the images`,
    },
    data: { values: places },
    encoding: {
      x: {
        field: "place",
        type: "ordinal",
        sort: order,
        axis: { title: "after layer", labelAngle: 0, labelOverlap: true },
      },
    },
    layer: [
      {
        mark: { type: "area", color: blue, opacity: 0.2 },
        encoding: {
          y: { field: "low", type: "quantitative", title: "cosine" },
          y2: { field: "high" },
        },
      },
      {
        mark: { type: "line", color: blue, strokeWidth: 2, point: { filled: true, size: 42, color: blue } },
        encoding: { y: { field: "mean", type: "quantitative" } },
      },
      {
        transform: [{ filter: "datum.place === 'learned' || datum.place === 'norm'" }],
        mark: { type: "text", dy: -12, fontSize: 12, color: muted },
        encoding: {
          y: { field: "mean", type: "quantitative" },
          text: { field: "mean", type: "quantitative", format: ".3f" },
        },
      },
    ],
  });
}

/** Where each token's attention goes, layer by layer, mean of the heads. */
function sharesFigure(result: TokensResult): Figure {
  const values = tokensOf(result).flatMap((token) => {
    const share = (what: "self" | "other" | "patches", to: string) =>
      layerMeans(result, (head) => attentionOf(head, token)?.[what] ?? Number.NaN).map((part, i) => ({
        token: `${token} token asks`,
        layer: i + 1,
        part,
        to,
      }));
    return [
      ...share("patches", "patches"),
      ...share("self", "itself"),
      ...(result.similarity ? share("other", "the other") : []),
    ];
  });
  const to = ["patches", "itself", ...(result.similarity ? ["the other"] : [])];
  return ({ blue, orange, green }) => ({
    title: {
      text: "Where the tokens' attention goes",
      subtitle: "parts of a layer's attention, mean of its heads and of the images",
    },
    data: { values },
    facet: { column: { field: "token", type: "nominal", title: null } },
    spec: {
      width: result.similarity ? WIDTH / 2 : WIDTH,
      height: HEIGHT,
      mark: { type: "line", strokeWidth: 2, point: { filled: true, size: 36 } },
      encoding: {
        x: layerAxis(result),
        y: {
          field: "part",
          type: "quantitative",
          title: "part of the attention",
          axis: { format: "%" },
          scale: { domain: [0, 1] },
        },
        color: {
          field: "to",
          type: "nominal",
          title: "goes to",
          scale: { domain: to, range: [blue, orange, green].slice(0, to.length) },
        },
      },
    },
  });
}

/** Over how many patches a token's attention is spread, each head a dot. */
function patchesFigure(result: TokensResult): Figure {
  const values = tokensOf(result).flatMap((token) =>
    result.attention.map((head) => ({
      token,
      layer: head.layer,
      patches: attentionOf(head, token)?.effectivePatches ?? Number.NaN,
    })),
  );
  return ({ blue, orange }) => ({
    width: WIDTH,
    height: HEIGHT,
    title: {
      text: "How many patches the tokens look at",
      subtitle: `e to the entropy of their attention among the ${result.patches} patches; a dot is a head, the line the mean`,
    },
    data: { values },
    encoding: {
      x: layerAxis(result),
      color: {
        field: "token",
        type: "nominal",
        title: null,
        scale: { domain: [...tokensOf(result)], range: [blue, orange] },
      },
    },
    layer: [
      {
        mark: { type: "point", filled: true, size: 40, opacity: 0.55 },
        encoding: { y: { field: "patches", type: "quantitative", title: "patches" } },
      },
      {
        mark: { type: "line", strokeWidth: 2 },
        encoding: { y: { field: "patches", aggregate: "mean", type: "quantitative" } },
      },
    ],
  });
}

/** How far patches look: the ViT paper's Figure 7 (right). */
function distanceFigure(result: TokensResult): Figure {
  const values = result.attention.map(({ layer, head, patchDistance }) => ({ layer, head, patchDistance }));
  return ({ blue }) => ({
    width: WIDTH,
    height: HEIGHT,
    title: {
      text: "How far patches look",
      subtitle: `mean distance of what a patch attends to, in pixels of ${result.inputSize[1]} × ${result.inputSize[0]}; a dot is a head`,
    },
    data: { values },
    mark: { type: "point", filled: true, size: 52, opacity: 0.75, color: blue },
    encoding: {
      x: layerAxis(result),
      y: {
        field: "patchDistance",
        type: "quantitative",
        title: "pixels",
        scale: { zero: true },
      },
    },
  });
}

function layerAxis({ layers }: TokensResult): {
  field: "layer";
  type: "quantitative";
  title: string;
  scale: { domain: number[]; nice: false; padding: number };
  axis: { values: number[]; format: string; labelOverlap: false };
} {
  const all = Array.from({ length: layers }, (_, i) => i + 1);
  return {
    field: "layer",
    type: "quantitative",
    title: "layer",
    scale: { domain: [1, layers], nice: false, padding: 12 },
    axis: { values: all, format: "d", labelOverlap: false },
  };
}

function tokensOf({ similarity }: TokensResult): readonly TokenName[] {
  return similarity ? ["class", "distillation"] : ["class"];
}

/** The page: each figure with what it says, and all numbers. */
export function tokensPage(result: TokensResult, figures: Record<string, Figure>): AnalysisContent["page"] {
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
        : " A plain model has a class token alone, so there is no similarity to measure: here is what its class token attends to, and how far its patches look."
    }`,
    sections,
  };
}

function figureOf(figures: Record<string, Figure>, name: string): { figure?: Figure } {
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
