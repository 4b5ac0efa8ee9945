/** What lies beside a file of weights, of whichever kind: config.json and preprocessor_config.json. */
import { dirname, join } from "node:path";
import { z } from "zod";
import type { PartialPreprocessing } from "../augmentation/preprocessing.ts";
import { mergePreprocessing } from "../augmentation/preprocessing.ts";
import { readClassNames } from "./huggingface.ts";
import { parseFields, withoutNulls } from "./json-fields.ts";
import { modelFolder, readSettings } from "./model-folder.ts";
import { readPreprocessorConfig } from "./preprocessor.ts";
import { TIMM_PREPROCESSING, timmPreprocessing } from "./timm-preprocessing.ts";

export interface ModelSettings {
  /** The text of config.json, for whoever reads a model's dimensions from it. */
  readonly config: SettingsFile | undefined;
  /** preprocessor_config.json's, else that of timm's config.json. */
  readonly preprocessing: PartialPreprocessing;
  /** Whether a preprocessor_config.json says it. */
  readonly hasProcessor: boolean;
  /** Display names by index, of config.json. */
  readonly classes: readonly string[] | undefined;
  /** What the user should know, a sentence each. */
  readonly notes: readonly string[];
}

export interface SettingsFile {
  readonly text: string;
  readonly file: string;
}

/**
 * Reads them from the weights' folder, or the one above when that is called onnx.
 * @throws FormatError for a damaged one, ConfigError for preprocessing that is not supported
 */
export async function readModelSettings(weights: string): Promise<ModelSettings> {
  const [config, processor] = await Promise.all([
    readBeside(weights, "config.json"),
    readBeside(weights, "preprocessor_config.json"),
  ]);
  const { notes = [], ...said } = processor ? readPreprocessorConfig(processor.text, processor) : {};
  return {
    config,
    preprocessing: mergePreprocessing(said, config && timmSettings(config)),
    hasProcessor: processor !== undefined,
    classes: config && readClassNames(config.text, config),
    notes,
  };
}

const TIMM = z.object({
  architecture: z.string().optional(),
  pretrained_cfg: z.preprocess(withoutNulls, TIMM_PREPROCESSING).optional(),
});

/** Of timm's config.json; older files have the fields of pretrained_cfg beside the others. */
function timmSettings({ text, file }: SettingsFile): PartialPreprocessing {
  const { architecture, pretrained_cfg: pretrained } = parseFields(text, TIMM, { file });
  if (pretrained === undefined && architecture === undefined) return {};
  const own = architecture === undefined ? {} : parseFields(text, TIMM_PREPROCESSING, { file });
  return timmPreprocessing({ ...own, ...pretrained }, { file });
}

async function readBeside(weights: string, name: string): Promise<SettingsFile | undefined> {
  for (const folder of new Set([dirname(weights), modelFolder(weights)])) {
    const file = join(folder, name);
    const text = await readSettings(file);
    if (text !== undefined) return { text, file };
  }
  return undefined;
}
