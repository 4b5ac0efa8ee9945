/** The models by name: vision transformers, and the convnets that teach them. */
import { didYouMean } from "../config/names.ts";
import { ConfigError } from "../errors.ts";
import { createByDimensions } from "./dimension-names.ts";
import type { Model, ModelFamily, ModelOptions } from "./model.ts";
import { countParameters } from "./model.ts";
import { regnets } from "./regnet.ts";
import { resnets } from "./resnet.ts";
import { TRANSFORMERS } from "./transformers.ts";

export { createDeit } from "./deit.ts";
export { modelOf } from "./vision-transformer.ts";
export type { VisionTransformer } from "./vision-transformer.ts";
export { countParameters } from "./model.ts";
export type { Model, ModelConfig, ModelOptions } from "./model.ts";

const FAMILIES: readonly ModelFamily[] = [...TRANSFORMERS, regnets, resnets];
/** Names of those that are not transformers. */
export const CONVNETS: readonly string[] = [...regnets.names, ...resnets.names];
const OPTIONS: readonly string[] = ["numClasses", "inputSize"];
const NAMES: readonly string[] = FAMILIES.flatMap(({ names }) => names);

/** The registered model of that name, or the one whose dimensions it says. @throws ConfigError with a suggestion when there is none. */
export function createModel(name: string, options: ModelOptions = {}): Model {
  checkOptions(options);
  const family = FAMILIES.find(({ names }) => names.includes(name));
  const unregistered = family === undefined ? createByDimensions(name, options) : undefined;
  if (unregistered !== undefined) return unregistered;
  if (family === undefined) {
    throw new ConfigError("model", `unknown model "${name}"`, {
      code: "model/unknown-name",
      hint: `${sameShape(name) ?? begunBy(name) ?? didYouMean(name, NAMES)} deit models lists them all.`.trim(),
    });
  }
  return family.create(name, options);
}

/** Whether a registered model has this name, or it in its name. */
export function isModelName(part: string): boolean {
  return NAMES.some((name) => name.includes(part));
}

/** @throws ConfigError for an option that there is not */
function checkOptions(options: ModelOptions): void {
  const unknown = Object.keys(options).find((key) => !OPTIONS.includes(key));
  if (unknown === undefined) return;
  throw new ConfigError(unknown, `a model has no option ${unknown}`, {
    code: "options/unknown",
    hint: `${didYouMean(unknown, OPTIONS)} Options are ${OPTIONS.join(", ")}.`.trim(),
  });
}

/** timm writes which weights it means behind a dot. */
function sameShape(name: string): string | undefined {
  const model = name.replace(/\..*$/, "");
  if (model === name || !NAMES.includes(model)) return undefined;
  return `${model} is the model; its weights are timm/${name} for --finetune.`;
}

/** The first model whose name goes on from this one: deit_tiny. */
function begunBy(name: string): string | undefined {
  const found = /^[a-z\d]+_?[a-z\d]+$/i.test(name)
    ? NAMES.find((one) => one.startsWith(`${name}_`))
    : undefined;
  return found === undefined ? undefined : `Did you mean ${found}?`;
}

export interface ModelSummary {
  readonly name: string;
  readonly parameters: number;
  /** Multiply-accumulates in billions. */
  readonly gmacs: number;
  readonly inputSize: readonly [number, number];
  readonly numClasses: number;
  readonly distilled: boolean;
}

/** Registered models whose name contains the pattern, in which `*` stands for anything. */
export function listModels(pattern = ""): ModelSummary[] {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`));
  const test = new RegExp(parts.join(".*"), "i");
  return NAMES.filter((name) => test.test(name)).map((name) => {
    const model = createModel(name);
    const { inputSize, numClasses, distilled } = model.config;
    return {
      name,
      parameters: countParameters(model),
      gmacs: model.macs / 1e9,
      inputSize,
      numClasses,
      distilled,
    };
  });
}
