/** Where images enter a program: bytes in, normalised there. */
import type { Normalisation } from "../augmentation/normalisation.ts";
import { at, constant, input } from "../graph/graph.ts";
import type { Target, Value } from "../graph/graph.ts";
import { add, cast, mul } from "../graph/ops.ts";
import type { Model } from "../models/registry.ts";
import type { Layout } from "../nn/parameters.ts";

/** What every program of a model depends on. */
export interface ProgramOptions {
  readonly model: Model;
  readonly layout: Layout;
  readonly batchSize: number;
  readonly target: Target;
  readonly normalisation: Normalisation;
}

/** The input `images` (or another of its kind), bytes [B, 3, H, W], as float32 numbers of 0 to 255. */
export function imagesInput(
  { model, batchSize }: Pick<ProgramOptions, "model" | "batchSize">,
  name = "images",
): Value {
  return cast(input(name, "uint8", [batchSize, 3, ...model.config.inputSize]), "float32");
}

/** (x/255 − mean)/std per channel, as one multiplication and one addition. */
export function normalise(images: Value, { mean, std }: Normalisation): Value {
  const perChannel = (f: (mean: number, std: number) => number): Value =>
    constant(
      Float32Array.from([0, 1, 2], (_, i) => f(at(mean, i), at(std, i))),
      [3, 1, 1],
    );
  return add(
    mul(
      images,
      perChannel((_, s) => 1 / (255 * s)),
    ),
    perChannel((m, s) => -m / s),
  );
}
