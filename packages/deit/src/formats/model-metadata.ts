/**
 * What a checkpoint of ours says about its model, inside the safetensors metadata: enough to predict with the
 * file alone. Checkpoints of other makers have none of it, so every field may be missing when read.
 */
import { z } from "zod";
import { FormatError } from "../errors.ts";

/** The model that a checkpoint's tensors belong to, and how images are prepared for it. */
export interface ModelMetadata {
  /** Registered name: "deit_tiny_distilled_patch16_224". */
  readonly model: string;
  /** Display name of each class, by index. */
  readonly classes: readonly string[];
  /** Height and width of the input in pixels. */
  readonly inputSize: readonly [height: number, width: number];
  /** Of the pixels scaled to [0, 1], a channel each. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** The epoch (from 0) after which the weights were saved. */
  readonly epoch: number;
  /** Results of that epoch by name; what "best" was chosen by should be among them. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Anything else worth keeping, as text ("weights": "ema"). Cannot replace the fields above. */
  readonly extra?: Readonly<Record<string, string>>;
}

const triple = z.tuple([z.number(), z.number(), z.number()]);
/** ImageNet-21k's names have less than a megabyte. */
const LONGEST = 8 * 1024 * 1024;
/** A side in pixels that no image of a classifier has. */
const LARGEST_SIDE = 8192;
const pixels = z.int().positive().max(LARGEST_SIDE);
const FIELDS = {
  classes: z.array(z.string()).min(1).max(100_000),
  inputSize: z.tuple([pixels, pixels]),
  mean: triple,
  std: triple,
  epoch: z.int().nonnegative(),
  metrics: z.record(z.string(), z.number()),
} as const;

/** Keys in the file, snake_case as all names in checkpoints. */
const KEYS = {
  classes: "classes",
  inputSize: "input_size",
  mean: "mean",
  std: "std",
  epoch: "epoch",
  metrics: "metrics",
} as const;

/** As safetensors metadata: text to text, JSON where a value is not text. `format: pt` is what other loaders ask for. */
export function encodeModelMetadata({ model, extra = {}, ...fields }: ModelMetadata): Record<string, string> {
  return {
    ...extra,
    format: "pt",
    model,
    [KEYS.classes]: JSON.stringify(fields.classes),
    [KEYS.inputSize]: JSON.stringify(fields.inputSize),
    [KEYS.mean]: JSON.stringify(fields.mean),
    [KEYS.std]: JSON.stringify(fields.std),
    [KEYS.epoch]: JSON.stringify(fields.epoch),
    [KEYS.metrics]: JSON.stringify(fields.metrics),
  };
}

/**
 * What the metadata of a checkpoint says about its model; fields that the file does not have are absent.
 * @throws FormatError when a field is there but is not what it should be
 */
export function decodeModelMetadata(
  metadata: Readonly<Record<string, string>>,
  { file }: { file: string },
): Partial<ModelMetadata> {
  const read = <T>(field: keyof typeof KEYS, schema: z.ZodType<T>): T | undefined => {
    const text = metadata[KEYS[field]];
    if (text === undefined) return undefined;
    try {
      if (text.length > LONGEST) throw new RangeError(`${text.length} characters`);
      return schema.parse(JSON.parse(text));
    } catch (cause) {
      throw new FormatError(
        file,
        `its metadata "${KEYS[field]}" is ${JSON.stringify(text.slice(0, 80))}, which is not a ${field}`,
        {
          code: "checkpoint/damaged-settings",
          hint: "The checkpoint was edited or written by another program. Save it again, or remove that key.",
          cause,
        },
      );
    }
  };
  const found = {
    model: metadata["model"],
    classes: read("classes", FIELDS.classes),
    inputSize: read("inputSize", FIELDS.inputSize),
    mean: read("mean", FIELDS.mean),
    std: read("std", FIELDS.std),
    epoch: read("epoch", FIELDS.epoch),
    metrics: read("metrics", FIELDS.metrics),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}
