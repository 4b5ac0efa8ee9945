/**
 * What ONNX files say about themselves in metadata_props: names of classes and how images are prepared. Known are our own
 * keys, Ultralytics' (YOLO classification) and WinML's (Azure Custom Vision).
 */
import { z } from "zod";
import type { PartialPreprocessing } from "../../augmentation/preprocessing.ts";
import { CheckpointError, ConfigError } from "../../errors.ts";
import { decodePreprocessing } from "../../formats/preprocessing-metadata.ts";

export type OnnxMetadata = ReadonlyMap<string, string>;

/**
 * How images are prepared, as far as the metadata says it.
 * @throws CheckpointError for a model of another task, ConfigError for what cannot be done, FormatError for a damaged value
 */
export function preprocessingInside(metadata: OnnxMetadata, file: string): PartialPreprocessing {
  if (isUltralytics(metadata)) return ultralytics(metadata, file);
  const range = metadata.get("Image.NominalPixelRange");
  if (range !== undefined) return winml(metadata, { range, file });
  return decodePreprocessing(metadata, { file });
}

function isUltralytics(metadata: OnnxMetadata): boolean {
  const isNamed = /ultralytics/i.test(`${metadata.get("author")} ${metadata.get("description")}`);
  return metadata.has("task") && (isNamed || (metadata.has("imgsz") && metadata.has("stride")));
}

const imgsz = z.union([z.int().transform((side) => [side, side] as const), z.tuple([z.int(), z.int()])]);

/**
 * Its classify_transforms: the shorter side to the size, bilinear, the middle cut out, pixels of 0 to 1; of sizes that are
 * no square, squashed.
 * Source: https://github.com/ultralytics/ultralytics/blob/main/ultralytics/data/augment.py
 */
function ultralytics(metadata: OnnxMetadata, file: string): PartialPreprocessing {
  const task = metadata.get("task") ?? "";
  if (task !== "classify") {
    throw new CheckpointError(
      `${file} is not an image classifier: its Ultralytics metadata has the task ${JSON.stringify(task.slice(0, 40))}`,
      { code: "onnx/no-classifier", hint: "Give a classification model (yolo…-cls)." },
    );
  }
  const size = imgsz.safeParse(parsed(metadata.get("imgsz") ?? "")).data;
  return {
    inputSize: size,
    resize: size === undefined || size[0] === size[1] ? "shorter-side" : "squash",
    interpolation: "bilinear",
    cropRatio: 1,
    mean: [0, 0, 0],
    std: [1, 1, 1],
    smallWhole: false,
  };
}

/** Source: https://github.com/onnx/onnx/blob/main/docs/MetadataProps.md */
const RANGES = new Map([
  ["NominalRange_0_255", { mean: 0, std: 1 / 255 }],
  ["Normalized_0_1", { mean: 0, std: 1 }],
  ["Normalized_1_1", { mean: 0.5, std: 0.5 }],
]);

function winml(
  metadata: OnnxMetadata,
  { range, file }: { range: string; file: string },
): PartialPreprocessing {
  const format = metadata.get("Image.BitmapPixelFormat") ?? "Rgb8";
  const values = RANGES.get(range);
  if (values === undefined || format !== "Rgb8") {
    throw new ConfigError(
      "preprocessing",
      `${file} takes ${JSON.stringify(format.slice(0, 40))} images of ${JSON.stringify(range.slice(0, 40))}, which is not supported`,
      {
        code: "preprocessing/unsupported",
        hint: `Supported: Rgb8 of ${[...RANGES.keys()].join(", ")}. Export it again for such images.`,
      },
    );
  }
  const { mean, std } = values;
  return { mean: [mean, mean, mean], std: [std, std, std] };
}

const CLASS_KEYS = ["classes", "labels", "names"] as const;

/** Names by index, however an exporter wrote them: JSON, a Python dict ({0: 'cat', 1: 'dog'}) or a line each. */
export function classesInside(metadata: OnnxMetadata): readonly string[] | undefined {
  const key = CLASS_KEYS.find((candidate) => metadata.has(candidate));
  return key === undefined ? undefined : classNames(metadata.get(key) ?? "");
}

/** { "0": "cat", "1": "dog" } → names by index; undefined when an index is missing. */
function inOrder(labels: Readonly<Record<string, string>>): readonly string[] | undefined {
  const own = new Map(Object.entries(labels));
  const names = Array.from({ length: own.size }, (_, i) => own.get(String(i)));
  return names.length > 0 && names.every((name) => name !== undefined) ? names : undefined;
}

const namesSchema = z.union([z.array(z.string()), z.record(z.string(), z.string()).transform(inOrder)]);

function classNames(text: string): readonly string[] | undefined {
  const json = namesSchema.safeParse(parsed(text));
  if (json.success) return json.data;
  if (text.startsWith("{")) {
    const pairs = text.matchAll(/(\d{1,7}): (?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")/gu);
    return inOrder(
      Object.fromEntries(
        Array.from(pairs, ([, index = "", single, double]) => [
          index,
          (single ?? double ?? "").replaceAll(/\\(.)/gu, "$1"),
        ]),
      ),
    );
  }
  const lines = text.split(/\r?\n/u).filter((line) => line !== "");
  return lines.length > 1 ? lines : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
