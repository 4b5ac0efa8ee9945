/** What the files of an export hold: weights and settings for deit-ts, timm and Hugging Face's libraries. Pure; weights.ts writes them. */
import { ConfigError } from "../errors.ts";
import type { LoadedModel } from "../evaluation/checkpoints/load-model.ts";
import { huggingFaceConfig } from "../formats/huggingface.ts";
import { huggingFaceTensors } from "../formats/key-maps.ts";
import { encodeModelMetadata } from "../formats/model-metadata.ts";
import { encodeGeometry } from "../formats/preprocessing-metadata.ts";
import { preprocessorConfig } from "../formats/preprocessor.ts";
import type { CheckpointContent } from "../formats/safetensors.ts";
import { fromFloat32, serializeSafetensors } from "../formats/safetensors.ts";
import type { VisionTransformerConfig } from "../models/vision-transformer.ts";

/** The file of weights in a model's folder, as Hugging Face's libraries look for it. */
export const WEIGHTS = "model.safetensors";

type Exported = Pick<LoadedModel, "model" | "tensors" | "metadata" | "preprocessing">;

/** Display names by index; numbers for models that have none. */
export function classNames({ model, metadata }: Pick<LoadedModel, "model" | "metadata">): readonly string[] {
  return metadata.classes ?? Array.from({ length: model.config.numClasses }, (_, i) => `class ${i}`);
}

/** One .safetensors file with all that is needed to predict. */
export function ownContent(loaded: Exported): CheckpointContent {
  const { model, tensors, metadata, preprocessing } = loaded;
  return {
    tensors,
    metadata: encodeModelMetadata({
      model: model.name,
      classes: classNames(loaded),
      inputSize: model.config.inputSize,
      mean: preprocessing.mean,
      std: preprocessing.std,
      epoch: metadata.epoch ?? 0,
      metrics: metadata.metrics ?? {},
      extra: encodeGeometry(preprocessing),
    }),
  };
}

/** What transformers' `from_pretrained` loads, in Python and in JavaScript. */
export interface HuggingFaceContents {
  readonly weights: CheckpointContent;
  /** By file name. */
  readonly settings: Readonly<Record<string, object>>;
}

/**
 * `whole`: nothing is to be cut off images (preprocessorConfig).
 * @throws ConfigError (export/no-counterpart) for convnets
 */
export function huggingFaceContents(
  loaded: Exported,
  { whole }: { whole?: boolean | undefined } = {},
): HuggingFaceContents {
  const { tensors, preprocessing } = loaded;
  const config = transformerOf(loaded, "huggingface");
  return {
    weights: {
      tensors: huggingFaceTensors(tensors, { distilled: config.distilled }),
      metadata: { format: "pt" },
    },
    settings: {
      "config.json": huggingFaceConfig(config, { classes: classNames(loaded) }),
      "preprocessor_config.json": preprocessorConfig({ ...preprocessing, whole }),
    },
  };
}

/** Bytes of a file of weights. */
export function checkpointBytes({ tensors, metadata }: CheckpointContent): Uint8Array {
  const stored = new Map([...tensors].map(([name, content]) => [name, fromFloat32(content)]));
  return serializeSafetensors({ tensors: stored, metadata });
}

/** Text of a file of settings. */
export function settingsText(content: object): string {
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** @throws ConfigError for convnets: those names and configurations are of transformers */
function transformerOf({ model }: Pick<LoadedModel, "model">, format: string): VisionTransformerConfig {
  const { transformer, name } = model;
  if (transformer !== undefined) {
    const { layerScale, registers = 0, patchPositions = false, pooling } = transformer;
    if (layerScale === undefined && registers === 0 && !patchPositions && pooling !== "average")
      return transformer;
    throw new ConfigError("format", `transformers has no classifier like ${name}`, {
      code: "export/no-counterpart",
      hint: "Its ViTs have neither LayerScale nor registers nor a head on averaged patches. Use --format onnx, timm or safetensors.",
    });
  }
  throw new ConfigError("format", `${model.name} is a convnet: --format ${format} is for transformers`, {
    code: "export/no-counterpart",
    hint: "Use --format onnx or safetensors.",
  });
}
