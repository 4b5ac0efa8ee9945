/** The classifiers of a model and what is read from them at test time (§4, "classification with our approach"). */
import type { Value } from "../graph/graph.ts";
import { add, mul } from "../graph/ops.ts";

/** Logits [B, classes] of each head. */
export interface Heads {
  readonly class: Value;
  readonly distillation?: Value;
  /** Of a student of embeddings (projection.ts): its token, projected to the teacher's width [B, D]. */
  readonly embedding?: Value;
}

/** The joint classifier as the released code has it: the mean of the heads' logits. [B, classes]. */
export function jointLogits({ class: classLogits, distillation }: Heads): Value {
  return distillation === undefined ? classLogits : mul(add(classLogits, distillation), 0.5);
}
