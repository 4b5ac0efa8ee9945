/**
 * Which DeiT a set of tensors is, by names (timm's) and shapes alone, and what it probably is instead. Shapes do not
 * tell the number of heads, nor the sides of a grid of patches that is not a square: models/identify.ts finds the model.
 */

/** Names and shapes; files and tensors in memory both have them. */
export type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** What the shapes of a DeiT say. */
export interface Architecture {
  readonly embedDim: number;
  readonly depth: number;
  readonly patchSize: number;
  /** Width of the MLP's hidden layer over embedDim. */
  readonly mlpRatio: number;
  /** With a distillation token. */
  readonly distilled: boolean;
  /** The linear heads that are there: a distilled model may have been fine-tuned on its class token alone. */
  readonly heads: readonly ("head" | "head_dist")[];
  /** 0 without a head. */
  readonly numClasses: number;
  /** Present where the model has them: factors on both branches of the blocks. */
  readonly layerScale?: true;
  /** How many register tokens. */
  readonly registers?: number;
  /** Whether patches alone have positions. */
  readonly patchPositions?: true;
  /** Whether the head reads the mean of the patches. */
  readonly pooling?: "average";
  /** Patches that the position embeddings are for. */
  readonly numPatches: number;
  /** [height, width] in pixels, when those patches make a square. */
  readonly inputSize: readonly [number, number] | undefined;
}

/** The deepest vision transformers have some dozens. */
const MOST_BLOCKS = 1000;

/** The DeiT that these tensors are, or undefined: {@link describeForeign} says what they may be. */
export function architectureOf(tensors: Shapes): Architecture | undefined {
  if (departure(tensors) !== undefined) return undefined;
  const dims = (name: string, rank: number): readonly number[] => {
    const shape = tensors.get(name)?.shape;
    return shape?.length === rank && shape.every((size) => size > 0) ? shape : [];
  };
  const [embedDim, channels, patchSize, patchWidth] = dims("patch_embed.proj.weight", 4);
  const [, tokens = 0, positionDim] = dims("pos_embed", 3);
  const [stacked, attentionDim] = dims("blocks.0.attn.qkv.weight", 2);
  const [hidden = 0, mlpDim] = dims("blocks.0.mlp.fc1.weight", 2);
  if (embedDim === undefined || patchSize === undefined) return undefined;
  const distilled = tensors.has("dist_token");
  const [, registers = 0] = dims("reg_token", 3);
  const layerScale = tensors.has("blocks.0.ls1.gamma");
  const patchPositions = hasPatchPositions(tokens, { distilled, registers, layerScale });
  const numPatches = tokens - (patchPositions ? 0 : registers + (distilled ? 2 : 1));
  const fits =
    channels === 3 &&
    patchWidth === patchSize &&
    tensors.has("cls_token") &&
    tensors.has("norm.weight") !== tensors.has("fc_norm.weight") &&
    numPatches > 0 &&
    stacked === 3 * embedDim &&
    [positionDim, attentionDim, mlpDim].every((dim) => dim === embedDim);
  if (!fits) return undefined;
  let depth = 1;
  while (tensors.has(`blocks.${depth}.attn.qkv.weight`)) depth++;
  if (depth > MOST_BLOCKS) return undefined;
  const heads = (["head", "head_dist"] as const).filter((head) => tensors.has(`${head}.weight`));
  const side = Math.sqrt(numPatches) * patchSize;
  return {
    embedDim,
    depth,
    patchSize,
    mlpRatio: hidden / embedDim,
    distilled,
    ...(layerScale && { layerScale }),
    ...(registers > 0 && { registers }),
    ...(patchPositions && { patchPositions }),
    ...(tensors.has("fc_norm.weight") && { pooling: "average" as const }),
    heads,
    numClasses: dims(`${heads[0] ?? "head"}.weight`, 2)[0] ?? 0,
    numPatches,
    inputSize: Number.isInteger(side / patchSize) ? [side, side] : undefined,
  };
}

/**
 * Whether position embeddings are the patches' alone, as in DeiT III and timm's models with registers: unless their number
 * without the other tokens makes a square. Of oblong images the number does not tell (DINOv2 without registers is then
 * taken for a DeiT III).
 */
function hasPatchPositions(
  tokens: number,
  { distilled, registers, layerScale }: { distilled: boolean; registers: number; layerScale: boolean },
): boolean {
  if (distilled || (registers === 0 && !layerScale)) return false;
  const others = tokens - registers - 1;
  return others <= 0 || !Number.isInteger(Math.sqrt(others));
}

/** Parts that are not supported and that change a model's output, by the names of their tensors. */
const DEPARTURES: readonly (readonly [RegExp, string])[] = [
  [/\bblocks_token_only\./, "class attention (CaiT)"],
  [/\b(?:layer_scale[12]?\.|lambda_[12]$|gamma_[12]$)/, "factors that are not as LayerScale's"],
  [/\brelative_position_bias_table$|\brel_pos_bias\b/, "relative position biases (BEiT)"],
  [/\bpre_logits\./, "a representation layer before the head (pre_logits)"],
  [/\bnorm_pre\.|\bpre_layrnorm\./, "a normalisation before the blocks (CLIP)"],
  [/\battn\.(?:q|k)_norm\./, "normalised queries and keys"],
  [/\bmlp\.(?:w12|fc1_g|weights_in)\b/, "a gated MLP"],
];

/** Other models, by names that only they have. */
const OTHERS: readonly (readonly [RegExp, string])[] = [
  [/\blayers?\.\d+\.blocks\.\d+\..*relative_position/, "Swin Transformer"],
  [/\bstages\.\d+\.(?:blocks|layers)\.\d+\.(?:gamma$|conv_dw|dwconv|layer_scale_parameter)/, "ConvNeXt"],
  [/\bs[1-4]\.b\d+\.(?:conv|se)|^regnet\./, "RegNet"],
  [/^layer[1-4]\.\d+\.conv1\.weight$|^resnet\.(?:embedder|encoder)\./, "ResNet"],
  [/\bblocks\.\d+\.\d+\.(?:conv_|bn\d|se\.)|^features\.\d+\.(?:conv|block)\b/, "EfficientNet or MobileNet"],
  [/\bvisual\.(?:transformer|trunk|conv1)\b|\btext_model\./, "CLIP model"],
  [/\b(?:word_embeddings|embed_tokens|wte)\.weight$/, "language model"],
  [/\b(?:class_embed|bbox_embed|bbox_predictor|query_position_embeddings)\b/, "detector"],
];

/** What tensors that are not a DeiT look like, for a message: "it looks like a Swin Transformer (layers.0…)". */
export function describeForeign(tensors: Shapes): string {
  const other = firstMatch(tensors, OTHERS);
  if (other !== undefined) return `it looks like a ${other.what} (${other.name})`;
  const part = departure(tensors);
  if (part !== undefined && tensors.has("patch_embed.proj.weight"))
    return `it is a vision transformer with ${part.what} (${part.name})`;
  const missing = ESSENTIAL.filter((name) => !tensors.has(name));
  if (missing.length > 0 && missing.length < ESSENTIAL.length)
    return `it is a vision transformer without ${missing.join(" and ")}`;
  if (missing.length === 0) {
    const shown = ESSENTIAL.map((name) => `${name} [${tensors.get(name)?.shape.join(", ") ?? ""}]`);
    return `the shapes of its tensors do not fit each other: ${shown.join("; ")}`;
  }
  const names = [...tensors.keys()];
  if (names.length === 0) return "it has no tensors";
  return `none of its ${names.length} tensors is a vision transformer's; the first are ${names.slice(0, 3).join(", ")}`;
}

const ESSENTIAL = [
  "patch_embed.proj.weight",
  "cls_token",
  "pos_embed",
  "blocks.0.attn.qkv.weight",
  "blocks.0.mlp.fc1.weight",
  "norm.weight",
] as const;

const departure = (tensors: Shapes): ReturnType<typeof firstMatch> => firstMatch(tensors, DEPARTURES);

function firstMatch(
  tensors: Shapes,
  table: readonly (readonly [RegExp, string])[],
): { name: string; what: string } | undefined {
  for (const [pattern, what] of table)
    for (const name of tensors.keys()) if (pattern.test(name)) return { name, what };
  return undefined;
}
