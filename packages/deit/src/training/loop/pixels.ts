/**
 * From the bytes of a batch to what the model sees, inside the program: normalisation, erased pixels, Mixup and CutMix,
 * in the reference's order (erasing comes after normalisation, mixing last). The draws come from outside.
 */
import type { Normalisation } from "../../augmentation/normalisation.ts";
import { normalise } from "../../evaluation/evaluation-program.ts";
import type { Value } from "../../graph/graph.ts";
import { constant } from "../../graph/graph.ts";
import {
  add,
  equal,
  gather,
  greaterOrEqual,
  less,
  mul,
  reshape,
  select,
  slice,
  sub,
} from "../../graph/ops.ts";
import { dimAt } from "../../graph/shape.ts";

/** Input [B, 3, H, W] of noise codes: 0 keeps a pixel, another code replaces its normalised value by (code − 128) / 32. */
export const ERASING_INPUT = "erasing";
/** Input [B, 6] float32, as `mixFeed` makes it. */
export const MIX_INPUT = "mix";

export interface PixelInputs {
  /** [B, 3, H, W] float32, 0 to 255. */
  readonly images: Value;
  readonly normalisation: Normalisation;
  readonly erasing?: Value;
  readonly mix?: Value;
}

/** Normalised, erased and mixed images, [B, 3, H, W]. */
export function preparePixels({ images, normalisation, erasing, mix }: PixelInputs): Value {
  const normalised = normalise(images, normalisation);
  const erased = erasing === undefined ? normalised : erase(normalised, erasing);
  return mix === undefined ? erased : mixRows(erased, mix);
}

function erase(x: Value, codes: Value): Value {
  return select(equal(codes, 0), x, mul(sub(codes, 128), 1 / 32));
}

/**
 * w·x + (1 − w)·reversed batch; the own weight w is one number outside the box and another inside. Exact where w is 0
 * or 1.
 */
function mixRows(x: Value, mix: Value): Value {
  const batch = dimAt(x.shape, 0);
  const column = (index: number): Value =>
    reshape(slice(mix, { axis: 1, start: index, end: index + 1 }), [batch, 1, 1, 1]);
  const within = (axis: 2 | 3, from: Value, to: Value): Value => {
    const length = dimAt(x.shape, axis);
    const places = constant(
      Float32Array.from({ length }, (_, i) => i),
      axis === 2 ? [length, 1] : [length],
    );
    return select(greaterOrEqual(places, from), select(less(places, to), 1, 0), 0);
  };
  const inside = mul(within(2, column(2), column(4)), within(3, column(3), column(5))); // [B, 1, H, W]
  const own = add(column(0), mul(inside, sub(column(1), column(0))));
  const order = Int32Array.from({ length: batch }, (_, i) => batch - 1 - i);
  const reversed = gather(x, constant(order, [batch], "int32"), 0);
  return add(mul(own, x), mul(sub(1, own), reversed));
}
