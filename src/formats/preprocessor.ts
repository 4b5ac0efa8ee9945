/**
 * preprocessor_config.json: how transformers and transformers.js prepare pictures for a model. Written for DeiT's
 * evaluation (shorter side, bicubic, middle cut out), read from others with what we would do differently.
 * Source: https://huggingface.co/docs/transformers/main_classes/image_processor
 */
import { z } from "zod";
import { FormatError } from "../errors.ts";
import { parseFields, pixels, side, triple } from "./json-fields.ts";

/** How pictures are prepared: resized, the middle cut out, normalised. */
export interface Preprocessing {
  /** [height, width] in pixels. */
  readonly inputSize: readonly [number, number];
  /** Part of the resized picture that is cut out: 0.875 is 224 of 256 pixels. */
  readonly cropRatio: number;
  /** Of pixels scaled to [0, 1], a channel each. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** Pictures of so few pixels a side that have the input's size are evaluated whole, as by the reference (CIFAR). */
const SMALL = 32;
/** PIL's numbers of its filters; 3 is DeiT's. */
const FILTERS = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"] as const;
const BICUBIC = 3;

/**
 * The content of preprocessor_config.json. BitImageProcessor is the plainest one that keeps a picture's proportions in
 * Python and in JavaScript (ViTImageProcessor squashes). For square input this is our evaluation. Theirs cannot cover
 * an input that is no square: a picture's shorter side is made as long as the input's longer one, so that none is
 * padded. A landscape input then sees of upright pictures what ours does, and less of landscape ones.
 * Nor can theirs tell small pictures that have the input's size from others: `whole` says which it will get.
 */
export function preprocessorConfig({
  inputSize: [height, width],
  cropRatio,
  mean,
  std,
  whole = Math.max(height, width) <= SMALL,
}: Preprocessing & { readonly whole?: boolean | undefined }): Record<string, unknown> {
  const longer = Math.max(height, width);
  return {
    image_processor_type: "BitImageProcessor",
    do_convert_rgb: true,
    do_resize: true,
    size: { shortest_edge: whole ? longer : Math.floor(longer / cropRatio) },
    resample: BICUBIC,
    do_center_crop: true,
    crop_size: { height, width },
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: [...mean],
    image_std: [...std],
  };
}

/** {@link Preprocessing}, with what our evaluation would do differently, a sentence each. */
export interface ReadPreprocessing extends Preprocessing {
  readonly warnings: readonly string[];
}

const sides = z
  .object({ height: pixels, width: pixels })
  .transform(({ height, width }): [number, number] => [height, width]);
const FIELDS = z.object({
  do_resize: z.boolean().default(true),
  size: z.union([side, sides, z.object({ shortest_edge: pixels })]).optional(),
  resample: z.int().optional(),
  do_center_crop: z.boolean().optional(),
  crop_size: z.union([side, sides]).optional(),
  crop_pct: z.number().positive().max(1).optional(), // ConvNeXt's processor, which some ViTs use
  do_rescale: z.boolean().default(true),
  rescale_factor: z.number().positive().optional(),
  do_normalize: z.boolean().default(true),
  image_mean: triple.optional(),
  image_std: triple.optional(),
  image_processor_type: z.string().optional(),
  feature_extractor_type: z.string().optional(),
});

/**
 * Reads a preprocessor_config.json.
 * @param file how messages name it
 * @throws FormatError when it is damaged, or says too little to prepare a picture
 */
export function readPreprocessorConfig(
  text: string,
  { file = "preprocessor_config.json" }: { file?: string } = {},
): ReadPreprocessing {
  const fields = parseFields(text, FIELDS, { file });
  const missing = (field: string): never => {
    throw new FormatError(file, `its ${field} is missing`, {
      hint: "transformers' default for it depends on its version: write it into the file.",
    });
  };
  const { crop_size: crop, do_center_crop: cropping = crop !== undefined } = fields;
  const warnings: string[] = [];
  const size = fields.do_resize ? (fields.size ?? missing("size")) : undefined;
  const cut = cropping ? (crop ?? missing("crop_size")) : undefined;
  const { inputSize, cropRatio } = geometry({ size, cut, cropPct: fields.crop_pct }, { file, warnings });

  const type = fields.image_processor_type ?? fields.feature_extractor_type ?? "";
  const filter = fields.resample ?? (type.startsWith("ViT") ? 2 : BICUBIC); // ViT's default is bilinear
  if (fields.do_resize && filter !== BICUBIC)
    warnings.push(`it resizes with PIL's filter ${FILTERS[filter] ?? filter}; here it is bicubic`);

  const { image_mean: mean = missing("image_mean"), image_std: std = missing("image_std") } =
    fields.do_normalize ? fields : ({ image_mean: [0, 0, 0], image_std: [1, 1, 1] } as const);
  if (std.some((x) => x <= 0)) {
    throw new FormatError(file, `its image_std is [${std.join(", ")}]; numbers above 0 were expected`);
  }
  if ([...mean, ...std].every((x) => x === 0.5)) {
    warnings.push(
      "its mean and std are 0.5: so say the repositories of the official plain DeiTs too, which were trained with ImageNet's",
    );
  }
  // (x·f − m)/s of a byte x is (x/255 − m/g)/(s/g) with g = 255·f
  const gain = fields.do_rescale ? 255 * (fields.rescale_factor ?? 1 / 255) : 255;
  const byGain = ([r, g, b]: readonly [number, number, number]): [number, number, number] =>
    Math.abs(gain - 1) < 1e-6 ? [r, g, b] : [r / gain, g / gain, b / gain];
  return { inputSize, cropRatio, mean: byGain(mean), std: byGain(std), warnings };
}

/** The input's size and the part of the resized picture that it is. */
function geometry(
  {
    size,
    cut,
    cropPct,
  }: {
    size: z.infer<typeof FIELDS>["size"];
    cut: readonly [number, number] | undefined;
    cropPct: number | undefined;
  },
  { file, warnings }: { file: string; warnings: string[] },
): Pick<Preprocessing, "inputSize" | "cropRatio"> {
  if (size === undefined) {
    if (cut === undefined) {
      throw new FormatError(file, "neither resizes pictures nor cuts them", {
        hint: "A model needs pictures of one size: size or crop_size must say which.",
      });
    }
    warnings.push("it does not resize pictures; here they are resized until they cover the input");
    return { inputSize: cut, cropRatio: 1 };
  }
  if ("shortest_edge" in size) {
    const edge = size.shortest_edge;
    const inputSize = cut ?? ([edge, edge] as const);
    const longer = Math.max(...inputSize);
    // ConvNeXt's processor resizes to shortest_edge / crop_pct and cuts shortest_edge out
    return {
      inputSize,
      cropRatio: cut === undefined && cropPct !== undefined ? cropPct : bestCropRatio(longer, edge, file),
    };
  }
  const [height, width] = size;
  warnings.push(
    `it squashes pictures to ${height}×${width}; here they keep their proportions, as DeiT was evaluated`,
  );
  return { inputSize: cut ?? size, cropRatio: cut === undefined ? 1 : bestCropRatio(cut[0], height, file) };
}

/** A ratio with which ⌊cut / ratio⌋ is `size`, the usual ones first: 384 of 438 pixels is 0.875, rounded. */
function bestCropRatio(cut: number, size: number, file: string): number {
  if (cut === size) return 1; // of few pixels so is 0.95, rounded
  const usual = [0.875, 0.9, 0.95, 1, cut / size, cut / (size + 0.5)];
  const ratio = usual.find((candidate) => Math.floor(cut / candidate) === size);
  if (ratio !== undefined && ratio <= 1) return ratio;
  throw new FormatError(file, `cuts ${cut} pixels out of ${size}`, {
    hint: "crop_size must not be larger than size.",
  });
}
