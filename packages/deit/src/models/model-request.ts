/** Which model a run trains, how large its input is and which of its parameters learn, from the options of "Model" and "Fine-tuning". */
import { ConfigError } from "../errors.ts";
import type { Layout } from "../nn/parameters.ts";
import { modelLayout } from "../nn/parameters.ts";
import type { TrainableOptions } from "../nn/trainable.ts";
import type { Projection } from "./features.ts";
import { withProjection } from "./features.ts";
import type { Model } from "./registry.ts";
import { createModel } from "./registry.ts";

/** The options that this part is made from. */
export interface ModelFlags {
  readonly model: string;
  readonly inputSize: number | readonly [number, number] | null;
  readonly drop: number;
  readonly attnDrop: number;
  readonly finetune: string | null;
  readonly trainable: string;
  readonly loraRank: number;
  readonly loraAlpha: number;
  readonly layerDecay: number | null;
}

export interface ModelRequest {
  readonly name: string;
  /** Side, or [height, width]; undefined: the model's own. */
  readonly inputSize: number | readonly [number, number] | undefined;
  readonly layout: TrainableOptions;
}

/** The request, and the model as registered. @throws ConfigError for an unknown name, a size that the patch does not divide, and options that this model has no place for */
export function modelRequest(flags: ModelFlags): { request: ModelRequest; model: Model } {
  const { layerDecay, trainable, loraRank: rank, loraAlpha: alpha } = flags;
  const request: ModelRequest = {
    name: flags.model,
    inputSize: flags.inputSize ?? undefined,
    layout: { layerDecay: layerDecay ?? 1, trainable, lora: { rank, alpha } },
  };
  const { model } = buildModel(request);
  checkTrainable(flags, model);
  return { request, model };
}

/** The model for a number of classes, with a projection where it learns embeddings, and where its parameters lie. */
export function buildModel(
  { name, inputSize, layout }: ModelRequest,
  numClasses?: number,
  projection?: Projection,
): { model: Model; layout: Layout } {
  const plain = createModel(name, { numClasses, inputSize });
  const model = projection === undefined ? plain : withProjection(plain, projection);
  return { model, layout: modelLayout(model, layout) };
}

function checkTrainable(flags: ModelFlags, { transformer, name }: Model): void {
  const { drop, attnDrop, trainable, finetune } = flags;
  if (trainable !== "all" && finetune === null) {
    throw new ConfigError(
      "trainable",
      `--trainable ${trainable} leaves the other layers at their random start: it needs a checkpoint`,
      { code: "options/conflict", hint: "Add --finetune CKPT, or leave out --trainable." },
    );
  }
  const depth = transformer?.depth ?? Number.POSITIVE_INFINITY;
  if (trainable.startsWith("last-") && Number(trainable.slice("last-".length)) > depth) {
    throw new ConfigError("trainable", `--trainable ${trainable}: ${name} has ${depth} blocks`, {
      code: "options/unsupported-by-model",
      hint: "Name fewer blocks, or --trainable all.",
    });
  }
  if (transformer !== undefined) return;
  const inBlocks = trainable === "lora" || trainable === "attention" ? "trainable" : undefined;
  const wrong = drop > 0 ? "drop" : attnDrop > 0 ? "attnDrop" : inBlocks;
  if (wrong === undefined) return;
  const flag = { drop: "drop", attnDrop: "attn-drop", trainable: "trainable" }[wrong];
  throw new ConfigError(wrong, `--${flag} ${flags[wrong]} is not supported for convnets (${name})`, {
    code: "options/unsupported-by-model",
    hint: "Leave that option out; --drop-path and --trainable head or last-N work for convnets, too.",
  });
}
