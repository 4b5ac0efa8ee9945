/**
 * config.json of a Hugging Face model: written for DeiTs so that transformers and transformers.js load them, read from
 * ViTs and DeiTs of others, and from timm's repositories. How images are prepared is preprocessor.ts.
 * Format: https://huggingface.co/docs/transformers/model_doc/deit
 */
import { z } from "zod";
import { ConfigError, FormatError } from "../errors.ts";
import { parseFields, side, withoutNulls } from "./json-fields.ts";
import type { PartialPreprocessing } from "../augmentation/preprocessing.ts";
import type { WrittenPreprocessing } from "./preprocessor.ts";
import { TIMM_CROP_MODES, TIMM_PREPROCESSING, timmPreprocessing } from "./timm-preprocessing.ts";

/** The published DeiTs were trained with it; the configs on the Hub say 1e-12. */
const LAYER_NORM_EPS = 1e-6;
/** ImageNet-21k has 21,843 classes; a head for so many is larger than the largest DeiT. */
const MAX_CLASSES = 100_000;

/** What a config.json needs to know of a DeiT. */
export interface DescribedModel {
  readonly embedDim: number;
  readonly depth: number;
  readonly numHeads: number;
  readonly mlpRatio: number;
  readonly patchSize: number;
  readonly distilled: boolean;
  /** [height, width] in pixels. */
  readonly inputSize: readonly [number, number];
  readonly numClasses: number;
}

/** Model types of transformers that are read. */
const MODEL_TYPES = ["vit", "deit", "dinov2", "dinov2_with_registers"] as const;
type ModelType = (typeof MODEL_TYPES)[number];

/**
 * The content of config.json. Plain models are `vit`, distilled ones `deit` with both heads, as the official
 * repositories have it; transformers.js picks its class by `model_type`, Python by `architectures`.
 * @param classes display name of each class, by index
 * @throws ConfigError when the names are not as many as the classes
 */
export function huggingFaceConfig(
  model: DescribedModel,
  { classes }: { classes: readonly string[] },
): Record<string, unknown> {
  const { embedDim, inputSize, patchSize, distilled } = model;
  if (classes.length !== model.numClasses) {
    throw new ConfigError("classes", `${classes.length} names for ${model.numClasses} classes`, {
      code: "model/class-names",
      hint: "Give one name for each output of the model, in their order.",
    });
  }
  return {
    architectures: [distilled ? "DeiTForImageClassificationWithTeacher" : "ViTForImageClassification"],
    model_type: distilled ? "deit" : "vit",
    hidden_size: embedDim,
    num_hidden_layers: model.depth,
    num_attention_heads: model.numHeads,
    intermediate_size: Math.round(embedDim * model.mlpRatio),
    hidden_act: "gelu",
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
    initializer_range: 0.02,
    layer_norm_eps: LAYER_NORM_EPS,
    image_size: inputSize[0] === inputSize[1] ? inputSize[0] : [...inputSize],
    patch_size: patchSize,
    num_channels: 3,
    qkv_bias: true,
    encoder_stride: patchSize,
    problem_type: "single_label_classification",
    id2label: Object.fromEntries(classes.map((name, id) => [String(id), name])),
    // of classes with the same name the last, as Python's own inverse of id2label
    label2id: Object.fromEntries(classes.map((name, id) => [name, id])),
    dtype: "float32",
  };
}

/** What a config.json says; the weights say the rest. */
export interface HuggingFaceConfig {
  /** timm's name of the model ("deit_tiny_patch16_224"), in timm's repositories alone. */
  readonly architecture?: string | undefined;
  /** The dimensions, in transformers' files alone. */
  readonly dims?: Omit<DescribedModel, "inputSize" | "numClasses"> | undefined;
  /** Where dimensions are not all said. */
  readonly numHeads?: number | undefined;
  /** [height, width] in pixels. */
  readonly inputSize?: readonly [number, number] | undefined;
  readonly numClasses?: number | undefined;
  /** Display name of each class, by index. */
  readonly classes?: readonly string[] | undefined;
  readonly layerNormEps: number;
  /** timm keeps it in the same file. */
  readonly preprocessing?: PartialPreprocessing | undefined;
  /** What differs from how we compute, a sentence each. */
  readonly warnings: readonly string[];
}

const count = (max: number): z.ZodInt => z.int().positive().max(max);
const TRANSFORMERS = z.object({
  hidden_size: count(65_536),
  num_hidden_layers: count(1000),
  num_attention_heads: count(4096),
  intermediate_size: count(1_048_576).optional(),
  mlp_ratio: z.number().positive().max(64).optional(),
  use_swiglu_ffn: z.boolean().default(false),
  hidden_act: z.string(),
  layer_norm_eps: z.number().positive().max(1).optional(),
  image_size: side,
  patch_size: side,
  num_channels: z.literal(3).default(3),
  qkv_bias: z.boolean().default(true),
  num_labels: count(MAX_CLASSES).optional(),
  id2label: z.record(z.string(), z.string()).optional(),
});

/**
 * Reads a config.json of transformers (`vit`, `deit`) or timm.
 * @param file how messages name it
 * @throws FormatError when it is damaged, or of a model that is not a DeiT
 */
export function readHuggingFaceConfig(
  text: string,
  { file = "config.json" }: { file?: string } = {},
): HuggingFaceConfig {
  const kind = parseFields(
    text,
    z.object({ model_type: z.string().optional(), architecture: z.string().optional() }),
    { file },
  );
  if (kind.model_type === undefined && kind.architecture !== undefined) return readTimm(text, file);
  const modelType = MODEL_TYPES.find((type) => type === kind.model_type);
  if (modelType === undefined) {
    const given =
      kind.model_type === undefined
        ? "has no model_type"
        : `is of a ${JSON.stringify(kind.model_type.slice(0, 40))} model`;
    throw new FormatError(
      file,
      `${given}; ${MODEL_TYPES.map((type) => JSON.stringify(type)).join(", ")} were expected`,
      {
        code: "checkpoint/unknown-model",
        hint: "DeiTs and plain vision transformers are read. As a teacher, any classifier works as an .onnx file.",
      },
    );
  }
  return readTransformers(text, file, modelType);
}

function readTransformers(text: string, file: string, modelType: ModelType): HuggingFaceConfig {
  const fields = parseFields(text, TRANSFORMERS, { file });
  const { hidden_size: embedDim, num_attention_heads: numHeads } = fields;
  // transformers' defaults
  const layerNormEps = fields.layer_norm_eps ?? (modelType.startsWith("dinov2") ? 1e-6 : 1e-12);
  const [patchSize, patchWidth] = fields.patch_size;
  const reject = (message: string, hint: string): never => {
    throw new FormatError(file, message, { code: "checkpoint/damaged-settings", hint });
  };
  if (fields.hidden_act !== "gelu") {
    reject(
      `its hidden_act is ${JSON.stringify(fields.hidden_act.slice(0, 40))}; "gelu" was expected`,
      "DeiTs use the exact GELU; with another activation the weights give different outputs.",
    );
  }
  if (patchSize !== patchWidth)
    reject(`its patches are ${patchSize}×${patchWidth}`, "DeiTs have square patches.");
  if (fields.use_swiglu_ffn)
    reject("it has a gated MLP (use_swiglu_ffn)", "DINOv2 S and B have a plain one.");
  const isDino = modelType.startsWith("dinov2");
  const mlpRatio = isDino ? (fields.mlp_ratio ?? 4) : (fields.intermediate_size ?? 0) / embedDim;
  if (mlpRatio === 0) reject("its intermediate_size is missing", "The file is damaged.");
  if (embedDim % numHeads !== 0)
    reject(`${numHeads} heads do not divide the width ${embedDim}`, "The file is damaged.");
  const classes = fields.id2label && labelsByIndex(fields.id2label, file);
  const warnings: string[] = [];
  if (layerNormEps !== LAYER_NORM_EPS) {
    warnings.push(
      layerNormEps === 1e-12
        ? `${file} has layer_norm_eps 1e-12; DeiTs were trained with 1e-6, which is used (logits differ by less than 1e-3)`
        : `${file} has layer_norm_eps ${layerNormEps}; 1e-6 is used, and the outputs will differ a little`,
    );
  }
  return {
    dims: {
      embedDim,
      depth: fields.num_hidden_layers,
      numHeads,
      mlpRatio,
      patchSize,
      distilled: modelType === "deit",
    },
    inputSize: fields.image_size,
    numClasses: classes?.length ?? fields.num_labels,
    classes,
    layerNormEps,
    warnings,
  };
}

/** Names in the order of their ids, which must be 0, 1, 2, … without a gap. */
function labelsByIndex(id2label: Readonly<Record<string, string>>, file: string): string[] {
  const entries = Object.entries(id2label);
  if (entries.length === 0 || entries.length > MAX_CLASSES) {
    throw new FormatError(
      file,
      `its id2label has ${entries.length} entries; 1 to ${MAX_CLASSES} were expected`,
      { code: "checkpoint/damaged-settings" },
    );
  }
  const names: string[] = [];
  for (const [id, name] of entries) {
    if (!/^(?:0|[1-9][0-9]{0,5})$/.test(id) || Number(id) >= entries.length) {
      throw new FormatError(
        file,
        `its id2label has the id ${JSON.stringify(id.slice(0, 40))}; with ${entries.length} labels, ids from 0 to ${entries.length - 1} were expected`,
        {
          code: "checkpoint/damaged-settings",
          hint: "Every output of the model needs its label. Fix id2label.",
        },
      );
    }
    names[Number(id)] = name;
  }
  return names;
}

/** timm's older files have the fields of pretrained_cfg beside the others. */
const PRETRAINED = TIMM_PREPROCESSING.extend({
  num_classes: count(MAX_CLASSES).optional(),
  label_names: z.array(z.string()).max(MAX_CLASSES).optional(),
});
const TIMM = PRETRAINED.extend({
  architecture: z.string(),
  model_args: z.object({ num_heads: count(4096).optional(), img_size: side.optional() }).optional(),
  pretrained_cfg: z.preprocess(withoutNulls, PRETRAINED).optional(),
});

function readTimm(text: string, file: string): HuggingFaceConfig {
  const { pretrained_cfg: pretrained, ...own } = parseFields(text, TIMM, { file });
  const { input_size, mean, std, crop_pct, crop_mode, interpolation } = { ...own, ...pretrained };
  const fields = { input_size, mean, std, crop_pct, crop_mode, interpolation };
  const preprocessing = timmPreprocessing(fields, { file });
  const classes = own.label_names ?? pretrained?.label_names;
  return {
    architecture: own.architecture,
    numHeads: own.model_args?.num_heads,
    inputSize: own.model_args?.img_size ?? preprocessing.inputSize,
    numClasses: own.num_classes ?? pretrained?.num_classes,
    classes,
    layerNormEps: LAYER_NORM_EPS,
    preprocessing,
    warnings: [],
  };
}

/** A model as timm makes it: one of its names, and what is changed of it. */
export interface TimmModel {
  /** A name that `timm.list_models()` has. */
  readonly architecture: string;
  /** Arguments of timm's model that differ from the name's, or say it again. */
  readonly args: Readonly<Record<string, number | string | boolean | readonly number[]>>;
  /** Width of what the head sees. */
  readonly numFeatures: number;
  readonly firstConv: string;
  readonly classifier: string | readonly string[];
}

/**
 * The content of config.json as `timm.create_model("local-dir:…")` and `hf-hub:` read it.
 * @throws ConfigError for preprocessing that timm does not have
 */
export function timmConfig(
  { architecture, args, numFeatures, firstConv, classifier }: TimmModel,
  {
    classes,
    inputSize,
    mean,
    std,
    cropRatio,
    interpolation = "bicubic",
    resize = "shorter-side",
    resizedSize,
  }: WrittenPreprocessing & { classes: readonly string[] },
): Record<string, unknown> {
  if (resize === "none" || (resize === "squash" && resizedSize !== undefined)) {
    const how = resize === "none" ? "not resized" : `squashed to ${resizedSize?.join("×")} and cut`;
    throw new ConfigError("format", `images are ${how}: timm has no setting for that`, {
      code: "export/no-counterpart",
      hint: "Use --format onnx, huggingface or safetensors.",
    });
  }
  return {
    architecture,
    num_classes: classes.length,
    num_features: numFeatures,
    ...(Object.keys(args).length > 0 && { model_args: args }),
    label_names: classes,
    pretrained_cfg: {
      num_classes: classes.length,
      input_size: [3, ...inputSize],
      fixed_input_size: "img_size" in args,
      interpolation,
      crop_pct: cropRatio,
      crop_mode: TIMM_CROP_MODES[resize],
      mean: [...mean],
      std: [...std],
      first_conv: firstConv,
      classifier,
    },
  };
}

const NAMED = z.object({
  id2label: z.record(z.string(), z.string()).optional(),
  label_names: z.array(z.string()).max(MAX_CLASSES).optional(),
  pretrained_cfg: z
    .preprocess(withoutNulls, z.object({ label_names: z.array(z.string()).optional() }))
    .optional(),
});

/**
 * Display names by index of any model's config.json; undefined when it has none, or transformers' placeholders.
 * @throws FormatError for names that leave indices out
 */
export function readClassNames(
  text: string,
  { file = "config.json" }: { file?: string } = {},
): readonly string[] | undefined {
  const { id2label, label_names: own, pretrained_cfg: pretrained } = parseFields(text, NAMED, { file });
  const names = own ?? pretrained?.label_names ?? (id2label && labelsByIndex(id2label, file));
  return names?.every((name, i) => name === `LABEL_${i}`) ? undefined : names;
}
