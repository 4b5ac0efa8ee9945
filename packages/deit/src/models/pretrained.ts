/** The weights that DeiT's authors released: where they are, and what they score on ImageNet's validation set. */

/** One release of weights. */
export interface PretrainedWeights {
  /** The registered model that they are for. */
  readonly model: string;
  /** The authors' file; its name ends in the first digits of its SHA-256. */
  readonly url: string;
  /** The same weights on the Hugging Face Hub. */
  readonly hubIds: readonly string[];
  /** Percent, as published (the reference's README; for the teacher, timm's and the paper's 82.9). */
  readonly acc1: number;
  readonly acc5: number;
  readonly inputSize: number;
  /** What it is for, where that is not classification itself. */
  readonly role?: "teacher";
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

export const PRETRAINED: readonly PretrainedWeights[] = [
  ...DEITS.map(([model, hash, acc1, acc5]) => ({
    model,
    url: `${RELEASES}/${model}-${hash}.pth`,
    hubIds: [`timm/${model}.fb_in1k`, `facebook/${model.replaceAll("_", "-")}`],
    acc1,
    acc5,
    inputSize: Number(model.slice(-3)),
  })),
  {
    model: "regnety_160",
    url: `${RELEASES}/regnety_160-a5fe301d.pth`,
    hubIds: ["timm/regnety_160.deit_in1k"],
    acc1: 83,
    acc5: 96.502,
    inputSize: 224,
    role: "teacher",
  },
];

/** The release that a Hub id (`owner/name`) or an address names. */
export function findPretrained(named: string): PretrainedWeights | undefined {
  return PRETRAINED.find(({ url, hubIds }) => url === named || hubIds.includes(named));
}
