/** Released weights of the models: where they are, and what they score on ImageNet's validation set, with who says so. */

/** One release of weights. */
export interface PretrainedWeights {
  /** By this name they are asked for: the model's, with timm's tag behind a dot where a model has several weights. */
  readonly name: string;
  /** The registered model that they are for. */
  readonly model: string;
  /** The authors' file; a name that ends in digits of its SHA-256 is checked. */
  readonly url: string;
  /** The same weights on the Hugging Face Hub. */
  readonly hubIds: readonly string[];
  /** Percent, as published by `source`. */
  readonly acc1: number;
  /** Undefined where it is not published. */
  readonly acc5: number | undefined;
  /** Side in pixels that this was measured at. */
  readonly inputSize: number;
  /** Where the figures are published. */
  readonly source: string;
  /** What the figures are of, where that is not the file's own classifier. */
  readonly measured?: "linear classifier on frozen features";
  /** What the weights were made from, where that is not ImageNet-1k alone. */
  readonly data?: string;
  /** What it is for, where that is not classification itself. */
  readonly role?: "teacher" | "features";
}

const RELEASES = "https://dl.fbaipublicfiles.com/deit";

/** model, hash, top-1, top-5, side of the images. */
const DEITS = [
  ["deit_tiny_patch16_224", "a1311bcf", 72.202, 91.124],
  ["deit_small_patch16_224", "cd65a155", 79.854, 94.968],
  ["deit_base_patch16_224", "b5f2ef4d", 81.846, 95.594],
  ["deit_tiny_distilled_patch16_224", "b40b3cf7", 74.476, 91.92],
  ["deit_small_distilled_patch16_224", "649709d9", 81.164, 95.376],
  ["deit_base_distilled_patch16_224", "df68dfff", 83.372, 96.482],
  ["deit_base_patch16_384", "8de9b5d1", 82.89, 96.222],
  ["deit_base_distilled_patch16_384", "d0272ac0", 85.224, 97.186],
] as const;

const README = "facebookresearch/deit README_deit.md";
const README_3 = "facebookresearch/deit README_revenge.md";
const TIMM = "timm results-imagenet.csv";
const IN21K = "ImageNet-21k";

/** size, patch, side, tag, top-1 of the authors' README, top-5 of timm. */
const DEIT3S = [
  ["small", 16, 224, "1k", 81.4, 95.454],
  ["small", 16, 224, "21k", 83.1, 96.774],
  ["small", 16, 384, "1k", 83.4, 96.674],
  ["small", 16, 384, "21k", 84.8, 97.486],
  ["medium", 16, 224, "1k", 83, 96.284],
  ["medium", 16, 224, "21k", 84.5, 97.18],
  ["base", 16, 224, "1k", 83.8, 96.584],
  ["base", 16, 224, "21k", 85.7, 97.746],
  ["base", 16, 384, "1k", 85, 97.252],
  ["base", 16, 384, "21k", 86.7, 98.11],
  ["large", 16, 224, "1k", 84.9, 97.048],
  ["large", 16, 224, "21k", 87, 98.246],
  ["large", 16, 384, "1k", 85.8, 97.602],
  ["large", 16, 384, "21k", 87.7, 98.508],
  ["huge", 14, 224, "1k", 85.2, 97.364],
  ["huge", 14, 224, "21k", 87.2, 98.264],
] as const;

function deit3Release([variant, patch, side, tag, acc1, acc5]: (typeof DEIT3S)[number]): PretrainedWeights {
  const model = `deit3_${variant}_patch${patch}_${side}`;
  const name = `${model}.${tag === "1k" ? "fb_in1k" : "fb_in22k_ft_in1k"}`;
  return {
    name,
    model,
    url: `${RELEASES}/deit_3_${variant}_${side}_${tag}${variant === "huge" ? "_v1" : ""}.pth`,
    hubIds: [`timm/${name}`],
    acc1,
    acc5,
    inputSize: side,
    source: README_3,
    ...(tag === "21k" && { data: IN21K }),
  };
}

/** letter of the authors' files, timm's size, registers, top-1 of a linear classifier. */
const DINOV2S = [
  ["s", "small", "", 81.1],
  ["s", "small", "_reg4", 80.9],
  ["b", "base", "", 84.5],
  ["b", "base", "_reg4", 84.6],
] as const;

function dinov2Release([letter, variant, registers, acc1]: (typeof DINOV2S)[number]): PretrainedWeights {
  const model = `vit_${variant}_patch14${registers}_dinov2`;
  const name = `${model}.lvd142m`;
  const folder = `dinov2_vit${letter}14`;
  return {
    name,
    model,
    url: `https://dl.fbaipublicfiles.com/dinov2/${folder}/${folder}${registers}_pretrain.pth`,
    hubIds: [`timm/${name}`, `facebook/dinov2${registers && "-with-registers"}-${variant}`],
    acc1,
    acc5: undefined,
    inputSize: 224,
    source: "facebookresearch/dinov2 README.md",
    measured: "linear classifier on frozen features",
    data: "LVD-142M, without labels",
    role: "features",
  };
}

/** timm's name and tag, top-1, top-5 of timm. */
const AUGREGS = [
  ["vit_tiny_patch16_224", "augreg_in21k_ft_in1k", 75.452, 92.858],
  ["vit_tiny_patch16_384", "augreg_in21k_ft_in1k", 78.438, 94.542],
  ["vit_small_patch32_224", "augreg_in21k_ft_in1k", 76.01, 93.266],
  ["vit_small_patch32_384", "augreg_in21k_ft_in1k", 80.476, 95.594],
  ["vit_small_patch16_224", "augreg_in21k_ft_in1k", 81.402, 96.15],
  ["vit_small_patch16_224", "augreg_in1k", 78.842, 94.28],
  ["vit_small_patch16_384", "augreg_in21k_ft_in1k", 83.814, 97.106],
  ["vit_small_patch16_384", "augreg_in1k", 81.13, 95.59],
  ["vit_base_patch32_224", "augreg_in21k_ft_in1k", 80.732, 95.574],
  ["vit_base_patch32_224", "augreg_in1k", 74.908, 91.77],
  ["vit_base_patch32_384", "augreg_in21k_ft_in1k", 83.358, 96.828],
  ["vit_base_patch32_384", "augreg_in1k", 78.75, 94.238],
  ["vit_base_patch16_224", "augreg2_in21k_ft_in1k", 85.108, 97.53],
  ["vit_base_patch16_224", "augreg_in21k_ft_in1k", 84.534, 97.3],
  ["vit_base_patch16_224", "augreg_in1k", 79.154, 94.108],
  ["vit_base_patch16_384", "augreg_in21k_ft_in1k", 86.01, 97.998],
  ["vit_base_patch16_384", "augreg_in1k", 81.102, 95.334],
] as const;

function augregRelease([model, tag, acc1, acc5]: (typeof AUGREGS)[number]): PretrainedWeights {
  const name = `${model}.${tag}`;
  return {
    name,
    model,
    // the authors' files are NumPy archives of JAX: these are timm's, converted
    url: `https://huggingface.co/timm/${name}/resolve/main/model.safetensors`,
    hubIds: [`timm/${name}`],
    acc1,
    acc5,
    inputSize: Number(model.slice(-3)),
    source: TIMM,
    ...(tag.includes("in21k") && { data: IN21K }),
  };
}

export const PRETRAINED: readonly PretrainedWeights[] = [
  ...DEITS.map(([model, hash, acc1, acc5]) => ({
    name: model,
    model,
    url: `${RELEASES}/${model}-${hash}.pth`,
    hubIds: [`timm/${model}.fb_in1k`, `facebook/${model.replaceAll("_", "-")}`],
    acc1,
    acc5,
    inputSize: Number(model.slice(-3)),
    source: README,
  })),
  {
    name: "regnety_160",
    model: "regnety_160",
    url: `${RELEASES}/regnety_160-a5fe301d.pth`,
    hubIds: ["timm/regnety_160.deit_in1k"],
    acc1: 83,
    acc5: 96.502,
    inputSize: 224,
    source: TIMM,
    role: "teacher",
  },
  ...DEIT3S.map(deit3Release),
  ...DINOV2S.map(dinov2Release),
  ...AUGREGS.map(augregRelease),
];

/** The release that a Hub id (`owner/name`) or an address names. */
export function findPretrained(named: string): PretrainedWeights | undefined {
  return PRETRAINED.find(({ url, hubIds }) => url === named || hubIds.includes(named));
}

/** The release of a name: with timm's tag, or a model's first. */
export function pretrainedOf(name: string): PretrainedWeights | undefined {
  return (
    PRETRAINED.find((weights) => weights.name === name) ?? PRETRAINED.find(({ model }) => model === name)
  );
}
