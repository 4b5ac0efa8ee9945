/** How training prepares and mixes its images, from the options of the group "Augmentation". */
import type { ErasingOptions } from "./erasing.ts";
import type { MixupOptions } from "./mixup.ts";
import { checkPairs } from "./mixup.ts";
import type { TrainCrop, TrainTransformOptions } from "./transform.ts";
import { createTransform } from "./transform.ts";

/** The options that this part is made from. */
export interface AugmentationFlags {
  readonly batchSize: number;
  readonly crop: "auto" | "resized" | "padded" | "none";
  readonly src: boolean;
  readonly scale: readonly [number, number];
  readonly ratio: readonly [number, number];
  readonly hflip: number;
  readonly trainInterpolation: "bicubic" | "bilinear" | "random";
  readonly aa: string | null;
  readonly threeAugment: boolean;
  readonly colorJitter: number;
  readonly reprob: number;
  readonly remode: ErasingOptions["mode"];
  readonly recount: number;
  readonly mixup: number;
  readonly cutmix: number;
  readonly cutmixMinmax: readonly [number, number] | null;
  readonly mixupProb: number;
  readonly mixupSwitchProb: number;
  readonly mixupMode: MixupOptions["mode"];
}

/** What happens to training images before the model sees them. */
export interface TrainingImages {
  /** Of each image; its size is that of the model's input. */
  readonly transform: Omit<TrainTransformOptions, "size">;
  /** Of each batch; undefined when neither Mixup nor CutMix is on. */
  readonly mixup: MixupOptions | undefined;
}

/** @throws ConfigError for a policy that is none, and for a batch that has no pairs to mix */
export function trainingImages(flags: AugmentationFlags): TrainingImages {
  const transform = transformFrom(flags);
  const mixup = mixupFrom(flags);
  createTransform({ ...transform, size: [1, 1] }); // reads the policy
  if (mixup) checkPairs(flags.batchSize);
  return { transform, mixup };
}

function transformFrom(flags: AugmentationFlags): TrainingImages["transform"] {
  const { aa, threeAugment, colorJitter, reprob, remode, recount } = flags;
  return {
    mode: "train",
    crop: cropFrom(flags),
    flip: flags.hflip,
    interpolation: flags.trainInterpolation,
    ...(aa !== null && { augment: aa }),
    ...(threeAugment && { threeAugment }),
    ...(colorJitter > 0 && { colorJitter }),
    ...(reprob > 0 && { erasing: { probability: reprob, mode: remode, count: recount } }),
  };
}

function cropFrom({ crop, src, scale, ratio }: AugmentationFlags): TrainCrop {
  if (src) return { kind: "simple" };
  if (crop === "none") return { kind: "centre" };
  return crop === "resized" ? { kind: crop, scale, ratio } : { kind: crop };
}

function mixupFrom(flags: AugmentationFlags): MixupOptions | undefined {
  const {
    mixup,
    cutmix,
    cutmixMinmax,
    mixupProb: prob,
    mixupSwitchProb: switchProb,
    mixupMode: mode,
  } = flags;
  if (prob === 0 || (mixup === 0 && cutmix === 0 && cutmixMinmax === null)) return undefined;
  return { mixup, cutmix, cutmixMinmax, prob, switchProb, mode };
}
