/** The seeded models that write-folders.ts exports and the tests compute. */
import type { WrittenPreprocessing } from "../../../src/formats/preprocessor.ts";
import type { VisionTransformer } from "../../../src/models/vision-transformer.ts";
import { createDeit, modelOf } from "../../../src/models/registry.ts";
import { seededParameter } from "../../helpers/seeded.ts";

export interface Ours {
  readonly name: string;
  readonly model: VisionTransformer;
  readonly classes: readonly string[];
  readonly preprocessing: WrittenPreprocessing;
  readonly timmName?: string;
}

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const tiny = { embedDim: 32, depth: 2, numHeads: 2, mlpRatio: 2.5, patchSize: 8, numClasses: 4 } as const;
/** Names that JSON, Python and JavaScript might stumble over; two are the same. */
const CLASSES = ["crane", "1", "crane", "__proto__ “é”\n"];

export const OURS: readonly Ours[] = [
  {
    name: "plain",
    model: modelOf("plain", { ...tiny, distilled: false, inputSize: [32, 32] }),
    classes: CLASSES,
    preprocessing: { inputSize: [32, 32], cropRatio: 0.875, ...IMAGENET },
  },
  {
    name: "distilled, not square",
    model: modelOf("distilled", { ...tiny, distilled: true, inputSize: [32, 64] }),
    classes: CLASSES,
    preprocessing: { inputSize: [32, 64], cropRatio: 0.8, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.1] },
  },
  {
    name: "distilled tiny at 64",
    model: createDeit("deit_tiny_distilled_patch16_224", { numClasses: 4, inputSize: 64 }),
    classes: CLASSES,
    preprocessing: { inputSize: [64, 64], cropRatio: 0.875, ...IMAGENET },
    timmName: "deit_tiny_distilled_patch16_224",
  },
];

/** Weights under timm's names. */
export function seededWeights({
  parameters,
  config,
}: VisionTransformer): Map<string, { shape: readonly number[]; data: Float32Array }> {
  return new Map(
    parameters.map(({ name, shape }) => [
      name,
      { shape, data: seededParameter(name, shape, config.embedDim) },
    ]),
  );
}
