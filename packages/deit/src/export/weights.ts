/** Weights as one file or folder for other programs: ours, timm's, Hugging Face's. */
import { join } from "node:path";
import { ConfigError } from "../errors.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { huggingFaceConfig, timmConfig } from "../formats/huggingface.ts";
import { huggingFaceTensors } from "../formats/key-maps.ts";
import { encodeModelMetadata } from "../formats/model-metadata.ts";
import { encodeGeometry } from "../formats/preprocessing-metadata.ts";
import { preprocessorConfig } from "../formats/preprocessor.ts";
import { writeCheckpoint } from "../formats/safetensors-file.ts";
import type { LoadedModel } from "../evaluation/load-model.ts";
import { timmModel } from "./timm.ts";
import type { VisionTransformerConfig } from "../models/vision-transformer.ts";

/** The file of weights in a model's folder, as Hugging Face's libraries look for it. */
export const WEIGHTS = "model.safetensors";

/** Display names by index; numbers for models that have none. */
export function classNames({ model, metadata }: Pick<LoadedModel, "model" | "metadata">): readonly string[] {
  return metadata.classes ?? Array.from({ length: model.config.numClasses }, (_, i) => `class ${i}`);
}

/** One .safetensors file with all that is needed to predict. */
export async function writeOwn(path: string, loaded: LoadedModel): Promise<void> {
  const { model, tensors, metadata, preprocessing } = loaded;
  await writeCheckpoint(path, {
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
  });
}

/**
 * A folder that `timm.create_model("local-dir:…", pretrained=True)` loads.
 * @throws ConfigError (export/no-counterpart) for a model that timm cannot make
 */
export async function writeTimm(folder: string, loaded: LoadedModel): Promise<void> {
  const { model, tensors, preprocessing } = loaded;
  const config = timmConfig(timmModel(model), { ...preprocessing, classes: classNames(loaded) });
  await writeCheckpoint(join(folder, WEIGHTS), { tensors, metadata: { format: "pt" } });
  await writeJson(join(folder, "config.json"), config);
}

/** A folder that transformers' `from_pretrained` loads. `whole`: nothing is to be cut off images (preprocessorConfig). */
export async function writeHuggingFace(
  folder: string,
  loaded: LoadedModel,
  { whole }: { whole?: boolean | undefined } = {},
): Promise<void> {
  const { tensors, preprocessing } = loaded;
  const config = transformerOf(loaded, "huggingface");
  await writeCheckpoint(join(folder, WEIGHTS), {
    tensors: huggingFaceTensors(tensors, { distilled: config.distilled }),
    metadata: { format: "pt" },
  });
  await writeJson(join(folder, "config.json"), huggingFaceConfig(config, { classes: classNames(loaded) }));
  await writeJson(join(folder, "preprocessor_config.json"), preprocessorConfig({ ...preprocessing, whole }));
}

/** @throws ConfigError for convnets: those names and configurations are of transformers */
function transformerOf({ model }: LoadedModel, format: string): VisionTransformerConfig {
  if (model.transformer !== undefined) return model.transformer;
  throw new ConfigError("format", `${model.name} is a convnet: --format ${format} is for transformers`, {
    code: "export/no-counterpart",
    hint: "Use --format onnx or safetensors.",
  });
}

async function writeJson(path: string, content: object): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(content, null, 2)}\n`);
}
