/**
 * preprocessor_config.json: how transformers, timm and transformers.js prepare images for a model. The one reader, for
 * weights of every kind, and the writer.
 * Source: https://huggingface.co/docs/transformers/main_classes/image_processor, and the classes' own code
 */
import { z } from "zod";
import type { Normalisation } from "../augmentation/normalisation.ts";
import type { PartialPreprocessing, Preprocessing } from "../augmentation/preprocessing.ts";
import { resizedSizeOf } from "../augmentation/preprocessing.ts";
import { INTERPOLATIONS } from "../augmentation/resize.ts";
import { ConfigError, FormatError } from "../errors.ts";
import { parseFields, pixels, side, triple, withoutNulls } from "./json-fields.ts";
import { TIMM_PREPROCESSING, timmPreprocessing } from "./timm-preprocessing.ts";

/** What a file says of preprocessing. */
export interface ReadPreprocessing extends PartialPreprocessing {
  /** What it leaves open, and what is done instead, a sentence each. */
  readonly notes: readonly string[];
}

const sides = z
  .object({ height: pixels, width: pixels })
  .transform(({ height, width }): [number, number] => [height, width]);
const edge = z.object({ shortest_edge: pixels, longest_edge: z.never().optional() });
const channels = z.union([triple, z.number().transform((x): [number, number, number] => [x, x, x])]);
const FIELDS = z.object({
  do_resize: z.boolean().optional(),
  size: z.preprocess(withoutNulls, z.union([pixels, side, sides, edge])).optional(),
  default_to_square: z.boolean().optional(),
  resample: z.union([z.int(), z.string()]).optional(),
  do_center_crop: z.boolean().optional(),
  crop_size: z.union([side, sides]).optional(),
  crop_pct: z.number().positive().max(1).optional(),
  do_rescale: z.boolean().optional(),
  rescale_factor: z.number().positive().optional(),
  rescale_offset: z.boolean().optional(),
  do_normalize: z.boolean().optional(),
  image_mean: channels.optional(),
  image_std: channels.optional(),
  include_top: z.boolean().optional(),
  image_processor_type: z.string().optional(),
  feature_extractor_type: z.string().optional(),
  pretrained_cfg: z.preprocess(withoutNulls, TIMM_PREPROCESSING).optional(),
});
type Fields = z.infer<typeof FIELDS>;

/** Steps that are not done here, where a file asks for one of them. */
const STEPS = z.object({
  do_flip_channel_order: z.boolean().optional(),
  do_pad: z.boolean().optional(),
  do_grayscale: z.boolean().optional(),
  do_convert_grayscale: z.boolean().optional(),
  do_thumbnail: z.boolean().optional(),
  do_crop_margin: z.boolean().optional(),
  do_align_long_axis: z.boolean().optional(),
});
const STEP_NAMES: Readonly<Record<keyof z.infer<typeof STEPS>, string>> = {
  do_flip_channel_order: "takes blue, green and red in this order",
  do_pad: "pads images",
  do_grayscale: "makes images grey",
  do_convert_grayscale: "makes images grey",
  do_thumbnail: "makes thumbnails",
  do_crop_margin: "cuts margins off",
  do_align_long_axis: "rotates images",
};

/** What transformers' classes do that their files need not say. */
interface ProcessorKind {
  /** The class's default filter; by default bilinear, transformers' own. */
  readonly resample?: (typeof INTERPOLATIONS)[number];
  /** An integer `size` is the shorter side's, not both sides'. */
  readonly shorterSide?: true;
  /** It crops unless told not to. */
  readonly crops?: true;
  /** It squashes or crops by `crop_pct`, of this default. */
  readonly cropPct?: number;
}
const KINDS = new Map<string, ProcessorKind>(
  Object.entries({
    Beit: { resample: "bicubic", crops: true },
    Bit: { resample: "bicubic", shorterSide: true, crops: true },
    CLIP: { resample: "bicubic", shorterSide: true, crops: true },
    ChineseCLIP: { resample: "bicubic", shorterSide: true, crops: true },
    ConvNext: { shorterSide: true, cropPct: 224 / 256 },
    DeiT: { resample: "bicubic", crops: true },
    EfficientNet: { resample: "nearest" },
    EfficientFormer: { resample: "bicubic", crops: true },
    Levit: { resample: "bicubic", shorterSide: true, crops: true },
    MobileNetV1: { shorterSide: true, crops: true },
    MobileNetV2: { shorterSide: true, crops: true },
    MobileViT: { shorterSide: true, crops: true },
    PoolFormer: { resample: "bicubic", shorterSide: true, crops: true, cropPct: 0.9 },
    Siglip: { resample: "bicubic" },
    VideoMAE: { shorterSide: true, crops: true },
    ViT: {},
  } satisfies Readonly<Record<string, ProcessorKind>>),
);
/** Of files that name no class: the resampling of DeiT's, everything else as written. */
const UNNAMED: ProcessorKind = { resample: "bicubic" };

/**
 * Reads a preprocessor_config.json, or a timm image processor's.
 * @param file how messages name it
 * @throws FormatError when it is damaged, ConfigError when it asks for what cannot be done
 */
export function readPreprocessorConfig(
  text: string,
  { file = "preprocessor_config.json" }: { file?: string } = {},
): ReadPreprocessing {
  const fields = parseFields(text, FIELDS, { file });
  const type = fields.image_processor_type ?? fields.feature_extractor_type;
  const name = type?.replace(/(?:ImageProcessor|FeatureExtractor)(?:Fast|Pil)?$/u, "");
  refuseSteps(text, { file, name });
  if (fields.pretrained_cfg !== undefined)
    return { ...timmPreprocessing(fields.pretrained_cfg, { file }), notes: [] };
  const kind = name === undefined ? UNNAMED : (KINDS.get(name) ?? {});
  const notes: string[] = [];
  return {
    ...geometry(fields, { file, name, kind, notes }),
    ...normalisation(fields, file),
    notes: notes.map((note) => `${file} ${note}`),
  };
}

/** @throws ConfigError for a step that is not done here */
function refuseSteps(text: string, { file, name }: { file: string; name: string | undefined }): void {
  const steps = parseFields(text, STEPS, { file });
  const flips = name === "MobileViT" && steps.do_flip_channel_order !== false; // it is that class's default
  const [asked] = Object.keys(STEP_NAMES).filter((step) => Reflect.get(steps, step) === true);
  const step = flips ? "do_flip_channel_order" : asked;
  if (step === undefined && name !== "Perceiver") return;
  const what =
    step === undefined ? "crops images before it resizes them" : STEP_NAMES[step as keyof typeof STEP_NAMES];
  throw new ConfigError("preprocessing", `${file} ${what} (${step ?? name}), which is not supported`, {
    code: "preprocessing/unsupported",
    hint: "Images prepared differently would get wrong predictions. Use another export of the model, without that step.",
  });
}

interface Source {
  readonly file: string;
  /** The class without its ending: "ViT". */
  readonly name: string | undefined;
  readonly kind: ProcessorKind;
  readonly notes: string[];
}

/** How the image is resized, and what is cut out of it. */
function geometry(fields: Fields, { file, name, kind, notes }: Source): PartialPreprocessing {
  const { size, crop_size: cropSize, do_resize: resizes = true } = fields;
  const crops = fields.do_center_crop ?? (kind.crops === true || (cropSize !== undefined && name !== "ViT"));
  const cut = crops ? cropSize : undefined;
  if (crops && cut === undefined && (size !== undefined || !resizes)) throw missing(file, "crop_size");
  if (!resizes) {
    if (cut !== undefined) return { inputSize: cut, resize: "none", cropRatio: 1, smallWhole: false };
    notes.push("neither resizes images nor crops them: others than the model's size are resized to cover it");
    return { resize: "shorter-side", cropRatio: 1, smallWhole: false };
  }
  if (size === undefined) return {};
  const interpolation = filterOf(fields.resample, { file, kind });
  const both = ((): readonly [number, number] | undefined => {
    if (typeof size === "number")
      return (fields.default_to_square ?? kind.shorterSide !== true) ? [size, size] : undefined;
    return "shortest_edge" in size ? undefined : size;
  })();
  const length = typeof size === "number" ? size : "shortest_edge" in size ? size.shortest_edge : size[0];
  const common = { interpolation, smallWhole: false } as const;
  if (kind.cropPct !== undefined) {
    const cropRatio = fields.crop_pct ?? kind.cropPct;
    const own: readonly [number, number] = name === "ConvNext" ? [length, length] : (cut ?? [length, length]);
    // ConvNeXt's squashes from 384 pixels on; PoolFormer's always keeps proportions
    if (name === "ConvNext" && length >= 384) return { ...common, ...sized(own, own), resize: "squash" };
    const resized = Math.trunc(length / cropRatio);
    return { ...common, ...sized(own, [resized, resized]), resize: "shorter-side" };
  }
  if (both !== undefined) return { ...common, ...sized(cut ?? both, both), resize: "squash" };
  const pct = cut === undefined ? fields.crop_pct : undefined;
  if (cut === undefined && pct === undefined)
    notes.push("does not crop: of images that are not square, the middle is cut out");
  const shorter = name === "Levit" ? Math.trunc((256 / 224) * length) : Math.trunc(length / (pct ?? 1));
  return { ...common, ...sized(cut ?? [length, length], [shorter, shorter]), resize: "shorter-side" };
}

/** The usual ratios, of which files hold the rounded sizes: 384 of 438 pixels is 0.875. */
const USUAL = [1, 0.875, 0.9, 0.95, 0.965] as const;

/** The ratio that the two sizes are of, and the resized size where none is exactly. */
function sized(
  inputSize: readonly [number, number],
  resized: readonly [number, number],
): Pick<PartialPreprocessing, "inputSize" | "cropRatio" | "resizedSize"> {
  const longer = inputSize[0] >= inputSize[1] ? 0 : 1;
  const [cut, from] = [inputSize[longer], resized[longer]];
  const fits = (cropRatio: number): boolean => resizedSizeOf({ inputSize, cropRatio })[longer] === from;
  const cropRatio = [...USUAL, cut / from, cut / (from + 0.5)].find(fits) ?? cut / from;
  const isExact = resizedSizeOf({ inputSize, cropRatio }).every((length, i) => length === resized[i]);
  return { inputSize, cropRatio, ...(!isExact && { resizedSize: resized }) };
}

function filterOf(
  resample: Fields["resample"],
  { file, kind }: Pick<Source, "file" | "kind">,
): (typeof INTERPOLATIONS)[number] {
  if (resample === undefined) return kind.resample ?? "bilinear";
  const filter =
    typeof resample === "number"
      ? INTERPOLATIONS[resample]
      : INTERPOLATIONS.find((known) => known === resample.toLowerCase());
  if (filter !== undefined) return filter;
  throw new FormatError(file, `its resample is ${JSON.stringify(resample).slice(0, 40)}`, {
    code: "checkpoint/damaged-settings",
    hint: `Expected a number from 0 to 5: ${INTERPOLATIONS.join(", ")}.`,
  });
}

/** mean and std of pixels of 0 to 1, from what is done to bytes: × factor, − 1 with an offset, − mean, ÷ std. */
function normalisation(fields: Fields, file: string): Partial<Normalisation> {
  const gain = fields.do_rescale === false ? 255 : 255 * (fields.rescale_factor ?? 1 / 255);
  const scale = Math.abs(gain - 1) < 1e-4 ? 1 : gain; // written rounded at times
  const offset = fields.rescale_offset === true && fields.do_rescale !== false ? 1 : 0;
  const { image_mean: mean, image_std: std, do_normalize: normalises } = fields;
  const isEfficientNet = fields.include_top === true;
  if (normalises === false) {
    // (x·scale − offset) for x of 0 to 1
    const [m, s] = [offset / scale, 1 / scale];
    return { mean: [m, m, m], std: [s, s, s] };
  }
  if (mean === undefined && std === undefined && scale === 1 && offset === 0) return {};
  if (mean === undefined) throw missing(file, "image_mean");
  if (std === undefined) throw missing(file, "image_std");
  if (std.some((x) => x <= 0)) {
    throw new FormatError(file, `its image_std is [${std.join(", ")}]; numbers above 0 were expected`, {
      code: "checkpoint/damaged-settings",
    });
  }
  // EfficientNet's divides by std twice
  const divisor = std.map((x) => (isEfficientNet ? x * x : x));
  const each = (value: (channel: number) => number): [number, number, number] => [
    value(0),
    value(1),
    value(2),
  ];
  return {
    mean: each((i) => ((mean[i] ?? 0) + offset) / scale),
    std: each((i) => (divisor[i] ?? 1) / scale),
  };
}

function missing(file: string, field: string): FormatError {
  return new FormatError(file, `its ${field} is missing`, {
    code: "checkpoint/damaged-settings",
    hint: "transformers' default for it depends on its version: write it into the file.",
  });
}

/** Images of so few pixels a side that have the input's size are evaluated whole, as by the reference (CIFAR). */
const SMALL = 32;

/** What is written of preprocessing; the rest is DeiT's. */
export type WrittenPreprocessing = Pick<Preprocessing, "inputSize" | "cropRatio" | "mean" | "std"> &
  Partial<Pick<Preprocessing, "resize" | "interpolation" | "resizedSize" | "smallWhole">>;

/**
 * The content of preprocessor_config.json. BitImageProcessor is the plainest one that keeps an image's proportions in
 * Python and in JavaScript (DeiTImageProcessor squashes). For square input this is our evaluation. Theirs cannot cover
 * an input that is not a square: an image's shorter side is made as long as the input's longer one, so that none is
 * padded. A landscape input then sees of upright images what ours does, and less of landscape ones.
 * Nor can theirs tell small images that have the input's size from others: `whole` says which it will get.
 * @throws ConfigError for preprocessing that those processors do not have
 */
export function preprocessorConfig({
  whole,
  resize = "shorter-side",
  interpolation = "bicubic",
  smallWhole = true,
  ...preprocessing
}: WrittenPreprocessing & { readonly whole?: boolean | undefined }): Record<string, unknown> {
  const { mean, std, resizedSize } = preprocessing;
  const [height, width] = preprocessing.inputSize;
  const longer = Math.max(height, width);
  const isSmall = smallWhole && (whole ?? longer <= SMALL);
  if (resize === "longer-side") {
    throw new ConfigError(
      "format",
      "images are fitted into the input: transformers has no processor for that",
      {
        code: "export/no-counterpart",
        hint: "Use --format onnx, timm or safetensors.",
      },
    );
  }
  const resized = resizedSizeOf(preprocessing);
  const squashed = { height: resized[0], width: resized[1] };
  const kept = {
    shortest_edge: isSmall ? longer : resizedSize ? Math.min(...resizedSize) : Math.max(...resized),
  };
  return {
    image_processor_type: resize === "squash" ? "DeiTImageProcessor" : "BitImageProcessor",
    do_convert_rgb: true,
    do_resize: resize !== "none",
    size: resize === "squash" ? squashed : kept,
    resample: INTERPOLATIONS.indexOf(interpolation),
    do_center_crop: true,
    crop_size: { height, width },
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: [...mean],
    image_std: [...std],
  };
}
