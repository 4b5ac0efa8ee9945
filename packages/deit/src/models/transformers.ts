/** All registered vision transformers. Where two have the same tensors the first is meant, unless the weights say a name. */
import { augregs } from "./augreg.ts";
import { deits } from "./deit.ts";
import { deit3s } from "./deit3.ts";
import { dinov2s } from "./dinov2.ts";
import type { ModelOptions } from "./model.ts";
import type { TransformerFamily, VisionTransformer } from "./vision-transformer.ts";

export const TRANSFORMERS: readonly TransformerFamily[] = [deits, deit3s, dinov2s, augregs];

/** The registered vision transformer of that name; undefined when there is none. */
export function createTransformer(name: string, options: ModelOptions = {}): VisionTransformer | undefined {
  return TRANSFORMERS.find(({ names }) => names.includes(name))?.create(name, options);
}
