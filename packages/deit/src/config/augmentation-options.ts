/** Options of how images are augmented, and prepared for the model. */
import { z } from "zod";
import { option } from "./option.ts";
import { colour, count, positive, rate, text } from "./option-values.ts";

const IMAGENET_MEAN: [number, number, number] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [number, number, number] = [0.229, 0.224, 0.225];
const shares = z.tuple([rate, rate]).refine(([low, high]) => low < high, "the smaller number first");

function range(low: number, high: number): z.ZodDefault<z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>> {
  const ordered = z
    .tuple([positive, positive])
    .refine(([from, to]) => from <= to, "the smaller number first");
  return ordered.default([low, high]);
}

export const AUGMENTATION_OPTIONS = {
  crop: option(z.enum(["auto", "resized", "padded", "none"]).default("auto"), {
    group: "Augmentation",
    help: "training crop; resized: random area, resized; padded: random shift by 4 pixels; auto: padded up to 32 pixels, else resized",
  }),
  scale: option(range(0.08, 1), {
    group: "Augmentation",
    value: "LOW HIGH",
    help: "area of a resized crop, as a fraction of the image",
  }),
  ratio: option(range(3 / 4, 4 / 3), {
    group: "Augmentation",
    value: "LOW HIGH",
    help: "aspect ratio of a resized crop",
  }),
  hflip: option(z.number().min(0).max(1).default(0.5), {
    group: "Augmentation",
    value: "RATE",
    help: "probability of a horizontal flip",
  }),
  src: option(z.boolean().default(false), {
    group: "Augmentation",
    help: "simple random crop (DeiT III): resize the shorter side, then shift at random by 4 pixels",
  }),
  trainInterpolation: option(z.enum(["bicubic", "bilinear", "random"]).default("bicubic"), {
    group: "Augmentation",
    help: "filter for resizing training images; random: bicubic or bilinear, drawn for each image",
  }),
  aa: option(text.nullable().default("rand-m9-mstd0.5-inc1"), {
    group: "Augmentation",
    value: "POLICY",
    nullMeans: "none",
    help: "RandAugment or AutoAugment policy in timm's notation: rand-m9-mstd0.5-inc1, original, v0, 3a, none",
  }),
  colorJitter: option(z.number().min(0).default(0.3), {
    group: "Augmentation",
    value: "STRENGTH",
    help: "strength of brightness, contrast and saturation jitter; only without --aa",
  }),
  threeAugment: option(z.boolean().default(false), {
    group: "Augmentation",
    help: "3-Augment (DeiT III): grayscale, solarize or blur, then colour jitter; replaces --aa",
  }),
  reprob: option(z.number().min(0).max(1).default(0.25), {
    group: "Augmentation",
    value: "RATE",
    help: "probability of random erasing",
  }),
  remode: option(z.enum(["pixel", "rand", "const"]).default("pixel"), {
    group: "Augmentation",
    help: "what erased regions are filled with: noise, a random colour, or the mean",
  }),
  recount: option(count.default(1), { group: "Augmentation", value: "N", help: "regions erased per image" }),
  repeatedAug: option(z.boolean().default(true), {
    group: "Augmentation",
    help: "repeated augmentation: an image several times in a batch, fewer images in an epoch",
  }),
  augRepeats: option(count.default(3), {
    group: "Augmentation",
    value: "N",
    help: "repetitions of each image with --repeated-aug",
  }),
  mixup: option(z.number().min(0).default(0.8), {
    group: "Augmentation",
    value: "ALPHA",
    help: "Mixup: blend images and labels by λ from Beta(α, α); 0: off",
  }),
  cutmix: option(z.number().min(0).default(1), {
    group: "Augmentation",
    value: "ALPHA",
    help: "CutMix: paste a region of another image, of area 1 − λ, λ from Beta(α, α); 0: off",
  }),
  cutmixMinmax: option(shares.nullable().default(null), {
    group: "Augmentation",
    value: "LOW HIGH",
    nullMeans: "by Beta",
    help: "CutMix with sides of this fraction of the image's, instead of Beta; --mixup 0 for CutMix alone",
  }),
  mixupProb: option(z.number().min(0).max(1).default(1), {
    group: "Augmentation",
    value: "RATE",
    help: "probability of Mixup or CutMix",
  }),
  mixupSwitchProb: option(z.number().min(0).max(1).default(0.5), {
    group: "Augmentation",
    value: "RATE",
    help: "probability of CutMix where both are on",
  }),
  mixupMode: option(z.enum(["batch", "pair", "elem"]).default("batch"), {
    group: "Augmentation",
    help: "one λ per batch, per pair, or per image",
  }),
  evalCropRatio: option(positive.max(1).default(0.875), {
    group: "Augmentation",
    value: "RATE",
    aliases: ["crop-ratio"],
    help: "fraction of the resized image that evaluation sees (also --crop-ratio)",
  }),
  mean: option(colour.default(IMAGENET_MEAN), {
    group: "Augmentation",
    value: "R G B",
    help: "mean of the normalisation, by channel, for pixels from 0 to 1",
  }),
  std: option(z.tuple([positive, positive, positive]).default(IMAGENET_STD), {
    group: "Augmentation",
    value: "R G B",
    help: "standard deviation of the normalisation, by channel",
  }),
};
