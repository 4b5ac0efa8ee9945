/** Preprocessing as text inside our own files: safetensors metadata and ONNX metadata_props have the same keys. */
import { z } from "zod";
import type { PartialPreprocessing, Preprocessing } from "../augmentation/preprocessing.ts";
import { DEIT_PREPROCESSING } from "../augmentation/preprocessing.ts";
import { INTERPOLATIONS } from "../augmentation/resize.ts";
import { RESIZE_MODES } from "../augmentation/transform.ts";
import { FormatError } from "../errors.ts";
import { pixels, triple } from "./json-fields.ts";

const positive = z.number().positive();
/** Key in the file, and what its text is: JSON, or a bare word. */
const FIELDS = {
  mean: ["mean", triple],
  std: ["std", z.tuple([positive, positive, positive])],
  inputSize: ["input_size", z.tuple([pixels, pixels])],
  cropRatio: ["crop_ratio", positive.max(4)],
  resize: ["resize", z.enum(RESIZE_MODES)],
  interpolation: ["interpolation", z.enum(INTERPOLATIONS)],
  resizedSize: ["resized_size", z.tuple([pixels, pixels])],
  smallWhole: ["small_whole", z.boolean()],
} as const satisfies Record<keyof Preprocessing, readonly [string, z.ZodType]>;
type Field = keyof typeof FIELDS;

/** How the image is resized and cut, where that is not DeiT's; the ratio always. */
export function encodeGeometry(preprocessing: Preprocessing): Record<string, string> {
  const { cropRatio, resize, interpolation, resizedSize, smallWhole } = preprocessing;
  const own = { cropRatio, resize, interpolation, resizedSize, smallWhole };
  const written = Object.entries(own).filter(
    ([field, value]) =>
      field === "cropRatio" || (value !== undefined && Reflect.get(DEIT_PREPROCESSING, field) !== value),
  );
  return Object.fromEntries(
    written.map(([field, value]) => [
      FIELDS[field as Field][0],
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
}

/**
 * What metadata says of preprocessing under our keys.
 * @throws FormatError for a field that is there and makes no sense
 */
export function decodePreprocessing(
  metadata: ReadonlyMap<string, string> | Readonly<Record<string, string>>,
  { file }: { file: string },
): PartialPreprocessing {
  const texts = metadata instanceof Map ? metadata : new Map(Object.entries(metadata));
  const found = Object.entries(FIELDS).flatMap(([field, [key, schema]]) => {
    const text = texts.get(key);
    if (text === undefined) return [];
    const result = (schema as z.ZodType).safeParse(parsed(text));
    if (result.success) return [[field, result.data] as const];
    throw new FormatError(file, `its metadata "${key}" is ${JSON.stringify(text.slice(0, 80))}`, {
      code: "checkpoint/damaged-settings",
      hint: "The file was edited, or written by a later version. Save it again, or remove that key.",
    });
  });
  return Object.fromEntries(found);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
