/**
 * What is measured of a transformer's tokens (§4), as values of the graph: numbers for each image instead of maps, so
 * that no layer's attention leaves the device. Sums over many images are tokens.ts.
 */
import { constant, dimAt, ops } from "deit-ts/graph";
import type { Value } from "deit-ts/graph";
import { gridOf, requireTransformer, stack, tokenNames, tokenSimilarity } from "deit-ts/models";
import type { Intermediates, Readout, VisionTransformerConfig } from "deit-ts/models";

const { add, concat, div, log, matmul, maximum, mean, minimum, mul, neg, reshape, slice, sqrt, sub, sum } =
  ops;

/** Keeps 0 · log 0 at 0; far below any probability that counts. */
const TINY = 1e-30;

/**
 * p tokens before M patches, L layers, h heads. Outputs:
 * - `similarity` [B, L + 2], of a distilled model: cosine of its two tokens after the embedding, each block, the final norm;
 * - `mass` [B, L, h, p, p + 1]: what each token gives to each of the p tokens, and to all patches together;
 * - `entropy` [B, L, h, p], in nats, of each token's attention among the patches;
 * - `spread` [B, L, h, p], in pixels: the standard deviation in space of the same;
 * - `distance` [B, L, h], in pixels: how far patches look (the ViT paper's mean attention distance), mean over the patches;
 * - `overlap` [B, L, h], of a distilled model: the part of the two tokens' attention among the patches that is common.
 */
export const TOKEN_STATISTICS: Readout = { name: "tokens", outputs: tokenStatistics };

function tokenStatistics({ model, attention, states, final }: Intermediates): Record<string, Value> {
  const config = requireTransformer(model);
  const tokens = tokenNames(config).length;
  const { distilled, registers = 0 } = config;
  const places = geometry(config);
  const first = tokens + registers;
  const layers = attention.map((p) => layerStatistics(p, { tokens, first, distilled, ...places }));
  const stacked = Object.keys(layers[0] ?? {}).map((name) => [
    name,
    stack(layers.flatMap((layer) => layer[name] ?? [])),
  ]);
  return {
    ...Object.fromEntries(stacked),
    ...(distilled &&
      final && {
        similarity: concat(
          [...states.map((state) => slice(state, { axis: 0, end: tokens })), final]
            .map(tokenSimilarity)
            .map((cosines) => reshape(cosines, [dimAt(cosines.shape, 0), 1])),
          1,
        ),
      }),
  };
}

/** p: [B, h, N, N] of one layer; `first`: the first patch. */
function layerStatistics(
  p: Value,
  {
    tokens,
    first,
    distilled,
    places,
    distances,
  }: { tokens: number; first: number; distilled: boolean } & Geometry,
): Record<string, Value> {
  const asked = slice(p, { axis: 2, end: tokens }); // [B, h, p, N]
  const toPatches = slice(asked, { axis: 3, start: first });
  const patchMass = sum(toPatches, -1, { keepDims: true });
  const share = div(toPatches, maximum(patchMass, TINY)); // adds up to 1 over the patches
  const moments = matmul(share, places); // [B, h, p, 3]: means of y, x, y² + x²
  const moment = (index: number): Value => slice(moments, { axis: 3, start: index, end: index + 1 });
  const variance = sub(moment(2), add(mul(moment(0), moment(0)), mul(moment(1), moment(1))));
  const between = slice(slice(p, { axis: 2, start: first }), { axis: 3, start: first }); // [B, h, M, M]
  const far = div(sum(mul(between, distances), -1), maximum(sum(between, -1), TINY));
  const of = (index: number): Value => slice(share, { axis: 2, start: index, end: index + 1 });
  const flat = (x: Value): Value => reshape(x, x.shape.slice(0, -1));
  return {
    mass: concat([slice(asked, { axis: 3, end: tokens }), patchMass], 3),
    entropy: neg(sum(mul(share, log(add(share, TINY))), -1)),
    spread: flat(sqrt(maximum(variance, 0))),
    distance: mean(far, -1),
    ...(distilled && { overlap: flat(sum(minimum(of(0), of(1)), -1)) }),
  };
}

/** Of the M patches' centres, in pixels from the middle of the input. */
interface Geometry {
  /** y, x, y² + x²: [M, 3]. */
  readonly places: Value;
  /** [M, M]. */
  readonly distances: Value;
}

function geometry(config: VisionTransformerConfig): Geometry {
  const [rows, columns] = gridOf(config);
  const { patchSize } = config;
  const patches = rows * columns;
  const y = (patch: number): number => (Math.floor(patch / columns) - (rows - 1) / 2) * patchSize;
  const x = (patch: number): number => ((patch % columns) - (columns - 1) / 2) * patchSize;
  const places = new Float32Array(patches * 3);
  const distances = new Float32Array(patches * patches);
  for (let i = 0; i < patches; i++) {
    places.set([y(i), x(i), y(i) ** 2 + x(i) ** 2], 3 * i);
    for (let j = 0; j < patches; j++) distances[i * patches + j] = Math.hypot(y(i) - y(j), x(i) - x(j));
  }
  return { places: constant(places, [patches, 3]), distances: constant(distances, [patches, patches]) };
}
