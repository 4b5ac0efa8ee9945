/** How timm prepares images: the fields of `pretrained_cfg` in config.json, which its resolve_data_config reads. */
import { z } from "zod";
import type { PartialPreprocessing } from "../augmentation/preprocessing.ts";
import { IMAGENET_NORMALISATION } from "../augmentation/normalisation.ts";
import { INTERPOLATIONS } from "../augmentation/resize.ts";
import type { ResizeMode } from "../augmentation/transform.ts";
import { ConfigError, FormatError } from "../errors.ts";
import { pixels, triple } from "./json-fields.ts";

/** What timm calls the ways to resize; images are not resized by none of them. */
export const TIMM_CROP_MODES = {
  "shorter-side": "center",
  squash: "squash",
  "longer-side": "border",
  none: "center",
} as const satisfies Record<ResizeMode, string>;
const CROP_MODES = new Map<string, ResizeMode>([
  ["center", "shorter-side"],
  ["squash", "squash"],
  ["border", "longer-side"],
]);

export const TIMM_PREPROCESSING = z.object({
  input_size: z.tuple([z.literal(3), pixels, pixels]).optional(),
  mean: triple.optional(),
  std: triple.optional(),
  crop_pct: z.number().positive().max(2).optional(),
  crop_mode: z.string().optional(),
  interpolation: z.string().optional(),
});

/**
 * What such fields say, with timm's defaults for those that are not there; nothing when none is.
 * @throws ConfigError for what cannot be done, FormatError for a std of 0
 */
export function timmPreprocessing(
  fields: z.infer<typeof TIMM_PREPROCESSING>,
  { file }: { file: string },
): PartialPreprocessing {
  if (Object.values(fields).every((value) => value === undefined)) return {};
  const { input_size: size, crop_mode: mode = "center", interpolation: filter = "bicubic" } = fields;
  const refuse = (field: string, given: string, expected: readonly string[]): never => {
    throw new ConfigError(
      "preprocessing",
      `${file}: its ${field} is ${JSON.stringify(given.slice(0, 40))}, which is not supported`,
      { code: "preprocessing/unsupported", hint: `Supported: ${expected.join(", ")}.` },
    );
  };
  const { std = IMAGENET_NORMALISATION.std, mean = IMAGENET_NORMALISATION.mean } = fields;
  if (std.some((x) => x <= 0)) {
    throw new FormatError(file, `its std is [${std.join(", ")}]; numbers above 0 were expected`, {
      code: "checkpoint/damaged-settings",
    });
  }
  const interpolation = INTERPOLATIONS.find((known) => known === filter);
  return {
    inputSize: size && [size[1], size[2]],
    resize: CROP_MODES.get(mode) ?? refuse("crop_mode", mode, [...CROP_MODES.keys()]),
    interpolation: interpolation ?? refuse("interpolation", filter, INTERPOLATIONS),
    cropRatio: fields.crop_pct ?? 0.875,
    mean,
    std,
    smallWhole: false,
  };
}
