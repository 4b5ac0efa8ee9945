/**
 * Our models as timm makes them: `create_model` knows names alone, so a model of other dimensions is a known one with
 * arguments. And back, by timm's rules, so that an export is checked as timm will load it.
 * Source: timm/models/{_factory,_hub,deit,regnet}.py, 1.0
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { ConfigError, DeitError } from "../errors.ts";
import type { TimmModel } from "../formats/huggingface.ts";
import { parseFields } from "../formats/json-fields.ts";
import { openSafetensors } from "../formats/safetensors-file.ts";
import type { Model } from "../models/registry.ts";
import { createModel, listModels, modelOf } from "../models/registry.ts";
import type { VisionTransformerConfig } from "../models/vision-transformer.ts";

/** timm's names of transformers; ours of other sizes are the smallest DeiT, changed. */
const NAMED: readonly string[] = [
  "deit_tiny_patch16_224",
  "deit_small_patch16_224",
  "deit_base_patch16_224",
  "deit_base_patch16_384",
  "deit_tiny_distilled_patch16_224",
  "deit_small_distilled_patch16_224",
  "deit_base_distilled_patch16_224",
  "deit_base_distilled_patch16_384",
  ...listModels("deit3_")
    .map(({ name }) => name)
    .filter((name) => name !== "deit3_medium_patch16_384"),
  ...listModels("vit_")
    .map(({ name }) => name)
    .filter((name) => !name.includes("_avg_")),
];
/** All of the paper's; those of ours for small images have a stem without a stride, which timm cannot make. */
const REGNETS = /^regnety_\d{3}$/;

/** @throws ConfigError for a model that timm cannot make */
export function timmModel(model: Model): TimmModel {
  const { name, transformer } = model;
  if (transformer !== undefined) {
    const { embedDim, depth, numHeads, mlpRatio, patchSize, inputSize, distilled } = transformer;
    const { layerScale, registers = 0, patchPositions = false, pooling } = transformer;
    const smallest = distilled ? "deit_tiny_distilled_patch16_224" : "deit_tiny_patch16_224";
    return {
      architecture: NAMED.includes(name) ? name : smallest,
      args: {
        img_size: [...inputSize],
        patch_size: patchSize,
        embed_dim: embedDim,
        depth,
        num_heads: numHeads,
        mlp_ratio: mlpRatio,
        ...(layerScale !== undefined && { init_values: layerScale }),
        ...(registers > 0 && { reg_tokens: registers }),
        ...(patchPositions && { no_embed_class: true }),
        ...(pooling === "average" && { global_pool: "avg" }),
      },
      numFeatures: embedDim,
      firstConv: "patch_embed.proj",
      classifier: distilled ? ["head", "head_dist"] : "head",
    };
  }
  if (REGNETS.test(name)) {
    const [, numFeatures = 0] =
      model.parameters.find(({ name: own }) => own === model.classWeight)?.shape ?? [];
    return { architecture: name, args: {}, numFeatures, firstConv: "stem.conv", classifier: "head.fc" };
  }
  throw new ConfigError("format", `timm has no model like ${name}: --format timm cannot be made of it`, {
    code: "export/no-counterpart",
    hint: name.startsWith("regnety")
      ? "timm's RegNetYs halve the image in their first layer, this one does not. Use --format onnx or safetensors."
      : "Use --format onnx or safetensors.",
  });
}

const whole = z.int().positive().max(65_536);
const CONFIG = z.strictObject({
  architecture: z.string(),
  num_classes: whole,
  num_features: whole,
  model_args: z
    .strictObject({
      img_size: z.tuple([whole, whole]),
      patch_size: whole,
      embed_dim: whole,
      depth: whole,
      num_heads: whole,
      mlp_ratio: z.number().positive(),
      init_values: z.number().optional(),
      reg_tokens: whole.optional(),
      no_embed_class: z.literal(true).optional(),
      global_pool: z.literal("avg").optional(),
    })
    .optional(),
  label_names: z.array(z.string()),
  pretrained_cfg: z.object({ num_classes: whole, input_size: z.tuple([z.literal(3), whole, whole]) }),
});

/**
 * Loads a folder as timm does: the model that config.json says, made by name and arguments, takes every tensor of the
 * file and lacks none.
 * @throws DeitError (export/wrong-answers) where timm would refuse, or would make another model
 */
export async function checkTimmFolder(
  folder: string,
  { weights, model }: { weights: string; model: Model },
): Promise<void> {
  const file = join(folder, "config.json");
  const config = parseFields(await readFile(file, "utf8"), CONFIG, { file });
  const made = madeByTimm(config);
  await using opened = await openSafetensors(join(folder, weights));
  const shape = (of: { readonly shape: readonly number[] } | undefined): string =>
    of?.shape.join(" × ") ?? "none";
  const wanted = new Map(made?.parameters.map((parameter) => [parameter.name, parameter]) ?? []);
  const wrong = [...new Set([...wanted.keys(), ...opened.tensors.keys()])].filter(
    (name) => shape(wanted.get(name)) !== shape(opened.tensors.get(name)),
  );
  const isSame = sameDims(made?.transformer, model.transformer);
  if (made !== undefined && wrong.length === 0 && isSame) return;
  throw new DeitError(
    made === undefined
      ? `timm has no model ${config.architecture}; nothing was exported`
      : `timm would not load ${model.name} from ${folder}: ${wrong.slice(0, 3).join(", ") || "other dimensions"}; nothing was exported`,
    {
      code: "export/wrong-answers",
      hint: "This is a fault of deit-ts: please report it with the model's name.",
    },
  );
}

/** What `timm.create_model` makes; undefined for a name that it does not know. */
function madeByTimm(config: z.infer<typeof CONFIG>): Model | undefined {
  const { architecture, num_classes: numClasses, model_args: args } = config;
  const [, ...own] = config.pretrained_cfg.input_size;
  if (REGNETS.test(architecture)) return createModel(architecture, { numClasses, inputSize: own });
  if (!NAMED.includes(architecture)) return undefined;
  const { transformer } = createModel(architecture, { numClasses });
  if (transformer === undefined) return undefined;
  return modelOf(architecture, {
    ...transformer,
    ...(args && {
      inputSize: args.img_size,
      patchSize: args.patch_size,
      embedDim: args.embed_dim,
      depth: args.depth,
      numHeads: args.num_heads,
      mlpRatio: args.mlp_ratio,
      ...(args.init_values !== undefined && { layerScale: args.init_values }),
      ...(args.reg_tokens !== undefined && { registers: args.reg_tokens }),
      ...(args.no_embed_class && { patchPositions: true }),
      ...(args.global_pool && { pooling: "average" as const }),
    }),
  });
}

function sameDims(a: VisionTransformerConfig | undefined, b: VisionTransformerConfig | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const keys = ["embedDim", "depth", "numHeads", "mlpRatio", "patchSize", "distilled", "numClasses"] as const;
  const later = ["layerScale", "registers", "patchPositions", "pooling"] as const;
  return [...keys, ...later].every((key) => a[key] === b[key]) && a.inputSize.join() === b.inputSize.join();
}
