/** Weights as one file or folder for other programs: ours, timm's, Hugging Face's. */
import { join } from "node:path";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { timmConfig } from "../formats/huggingface.ts";
import { writeCheckpoint } from "../formats/safetensors-file.ts";
import type { LoadedModel } from "../evaluation/checkpoints/load-model.ts";
import { classNames, huggingFaceContents, ownContent, settingsText, WEIGHTS } from "./contents.ts";
import { timmModel } from "./timm.ts";

export { classNames, WEIGHTS } from "./contents.ts";

/** One .safetensors file with all that is needed to predict. */
export async function writeOwn(path: string, loaded: LoadedModel): Promise<void> {
  await writeCheckpoint(path, ownContent(loaded));
}

/**
 * A folder that `timm.create_model("local-dir:…", pretrained=True)` loads.
 * @throws ConfigError (export/no-counterpart) for a model that timm cannot make
 */
export async function writeTimm(folder: string, loaded: LoadedModel): Promise<void> {
  const { model, tensors, preprocessing } = loaded;
  const config = timmConfig(timmModel(model), { ...preprocessing, classes: classNames(loaded) });
  await writeCheckpoint(join(folder, WEIGHTS), { tensors, metadata: { format: "pt" } });
  await writeSettings(folder, { "config.json": config });
}

/** A folder that transformers' `from_pretrained` loads. `whole`: nothing is to be cut off images (preprocessorConfig). */
export async function writeHuggingFace(
  folder: string,
  loaded: LoadedModel,
  options: { whole?: boolean | undefined } = {},
): Promise<void> {
  const { weights, settings } = huggingFaceContents(loaded, options);
  await writeCheckpoint(join(folder, WEIGHTS), weights);
  await writeSettings(folder, settings);
}

async function writeSettings(folder: string, files: Readonly<Record<string, object>>): Promise<void> {
  for (const [name, content] of Object.entries(files))
    await writeFileAtomic(join(folder, name), settingsText(content));
}
