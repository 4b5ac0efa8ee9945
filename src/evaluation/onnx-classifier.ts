/**
 * What an ONNX image classifier of any maker says about itself: where pictures go in and logits come out, found by their
 * shapes, and what lies beside the file in transformers.js' layout (normalisation, resolution, names of classes).
 */
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Normalisation } from "../augmentation/normalisation.ts";
import { CheckpointError, DataError, FormatError } from "../errors.ts";
import { modelFolder } from "../formats/model-folder.ts";
import { withWeightsInside } from "../interop/onnx-external.ts";
import type { OnnxSignature, OnnxValue } from "./onnx-signature.ts";
import { readOnnxSignature } from "./onnx-signature.ts";

export interface OnnxClassifier {
  readonly file: string;
  readonly model: Uint8Array;
  readonly input: {
    readonly name: string;
    readonly layout: "NCHW" | "NHWC";
    /** [height, width]; undefined when any will do. */
    readonly size: readonly [number, number] | undefined;
    /** The only batch size that the file takes; undefined when any will do. */
    readonly batch: number | undefined;
  };
  readonly output: {
    readonly name: string;
    readonly numClasses: number | undefined;
    /** Softmax is inside: it returns probabilities, whose logarithms are logits. */
    readonly probabilities: boolean;
  };
  /** preprocessor_config.json's. */
  readonly normalisation: Normalisation | undefined;
  readonly inputSize: readonly [number, number] | undefined;
  /** Side of the crop by the shorter side of the resized picture. */
  readonly cropRatio: number | undefined;
  /** Names by index: config.json's, else those in the file. */
  readonly classes: readonly string[] | undefined;
}

/** What detectors and segmenters call what they return beside scores. */
const BOXES = /box|mask|keypoint|landmark/i;

/** Protocol buffers, and so ONNX files in one piece, end here. */
const LARGEST = 2 ** 31;
/** Values of one batch, and classes, beyond which a file is damaged rather than large. */
const LARGEST_BATCH = 2 ** 29;
const LARGEST_HEAD = 2 ** 20;

/** @throws DataError when there is no such file, FormatError when it is no ONNX file, CheckpointError when it is no classifier */
export async function readOnnxClassifier(file: string): Promise<OnnxClassifier> {
  const bytes = await readBytes(file);
  const signature = parse(file, bytes);
  const input = pictureInput(file, signature);
  const output = logitsOutput(file, signature);
  const { numClasses } = output;
  const classes = (await readClasses(file)) ?? classesInside(signature.classes ?? "");
  return {
    file,
    model: signature.external ? await withWeightsInside(bytes, file) : bytes,
    input,
    output,
    ...(await readPreprocessor(file)),
    classes: classes?.length === (numClasses ?? classes?.length) ? classes : undefined, // else of another model
  };
}

async function readBytes(file: string): Promise<Uint8Array> {
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) {
    throw new DataError(file, found === undefined ? `there is no file ${file}` : `${file} is no file`, {
      hint: "Give the path of an .onnx file.",
    });
  }
  if (found.size === 0) throw new FormatError(file, "is empty", { hint: "Export or download it again." });
  if (found.size >= LARGEST) {
    throw new FormatError(file, "is larger than 2 GiB, more than an ONNX file can be", {
      hint: "It is damaged, or another kind of file.",
    });
  }
  try {
    const { buffer, byteOffset, byteLength } = await readFile(file);
    return new Uint8Array(buffer, byteOffset, byteLength); // no Buffer, whose slice() shares its memory
  } catch (cause) {
    throw new DataError(file, `${file} cannot be read`, { hint: "Check its permissions.", cause });
  }
}

function parse(file: string, bytes: Uint8Array): OnnxSignature {
  const refuse = (problem: string, cause?: unknown): never => {
    throw new FormatError(file, `is no ONNX model: ${problem}`, {
      hint: "It may be cut off, a Git LFS pointer or another format under this name (safetensors files keep their own ending). Export or download it again.",
      cause,
    });
  };
  try {
    const signature = readOnnxSignature(bytes);
    if (signature.nodes > 0 && signature.opsets > 0) return signature;
  } catch (cause) {
    return refuse("its bytes cannot be read as one", cause);
  }
  return refuse("there is no whole graph in it");
}

/** A name out of a file, for a message. */
function quoted(name: string): string {
  return JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}…` : name);
}

function describe(values: readonly OnnxValue[]): string {
  const lines = values.slice(0, 6).map(({ name, dtype, dims }) => {
    const lengths = dims?.slice(0, 8).map((length) => length ?? "?");
    return `${quoted(name)} ${dtype} [${lengths?.join(", ") ?? "…"}]`;
  });
  return [...lines, ...(values.length > 6 ? ["…"] : [])].join(", ") || "nothing";
}

function pictureInput(file: string, { inputs }: OnnxSignature): OnnxClassifier["input"] {
  const refuse = (problem: string, hint: string): never => {
    throw new CheckpointError(`${file} is no image classifier: ${problem}`, { hint });
  };
  const [picture] = inputs;
  if (picture?.dims?.length !== 4 || inputs.length > 1) {
    return refuse(
      `expected one input of pictures [batch, 3, height, width]; it takes ${describe(inputs)}`,
      "Give a model that takes pictures alone and returns logits.",
    );
  }
  if (picture.dtype !== "float32") {
    return refuse(
      `expected float32 pictures; it takes ${describe(inputs)}`,
      picture.dtype === "uint8"
        ? "It prepares pictures itself, which is done before it here: give the form without that (deit export without --preprocessing)."
        : "Export it with float32 inputs and outputs (weights may be of any type).",
    );
  }
  const [batch, second, third, fourth] = picture.dims;
  const layout = second !== 3 && fourth === 3 ? "NHWC" : "NCHW";
  if (layout === "NCHW" && second !== undefined && second !== 3) {
    return refuse(
      `expected pictures of 3 channels; it takes ${describe(inputs)}`,
      "Give a model for RGB pictures.",
    );
  }
  const [height, width] = layout === "NCHW" ? [third, fourth] : [second, third];
  if ((batch ?? 1) * 3 * (height ?? 1) * (width ?? 1) > LARGEST_BATCH) {
    return refuse(
      `its pictures are too large to be true: ${describe(inputs)}`,
      "Export or download it again.",
    );
  }
  const size = height === undefined || width === undefined ? undefined : ([height, width] as const);
  return { name: picture.name, layout, size, batch };
}

function logitsOutput(file: string, { outputs, probabilities }: OnnxSignature): OnnxClassifier["output"] {
  if (outputs.some(({ name, dims }) => BOXES.test(name) || (dims?.length === 3 && dims[2] === 4))) {
    throw new CheckpointError(
      `${file} is no image classifier but a detector: it returns ${describe(outputs)}`,
      { hint: "Give a model that returns one row of logits for each picture." },
    );
  }
  const rows = outputs.filter(({ dtype, dims }) => dtype === "float32" && (dims?.length ?? 2) === 2);
  const chosen = rows.find(({ name }) => name === "logits") ?? (rows.length === 1 ? rows[0] : undefined);
  const numClasses = chosen?.dims?.[1];
  if (chosen !== undefined && (numClasses ?? 1) <= LARGEST_HEAD)
    return { name: chosen.name, numClasses, probabilities: probabilities.has(chosen.name) };
  const unflattened = outputs.some(({ dims }) => dims?.length === 4 && dims[2] === 1 && dims[3] === 1);
  throw new CheckpointError(
    `${file} is no image classifier: expected one float32 output of logits [batch, classes]; it returns ${describe(outputs)}`,
    {
      hint: unflattened
        ? "Export it with a Flatten behind the last layer, so that its logits have two axes."
        : "Export it so that its logits are its only float32 output of two axes, or call them `logits`.",
    },
  );
}

const triple = z.tuple([z.number(), z.number(), z.number()]);
const length = z
  .int()
  .positive()
  .max(2 ** 14);
const side = z.union([
  length.transform((both) => [both, both] as const),
  z.object({ height: length, width: length }).transform(({ height, width }) => [height, width] as const),
  z.object({ shortest_edge: length }).transform(({ shortest_edge: edge }) => [edge, edge] as const),
]);
/** Of transformers' image processors; newer ones write null for what they do not set. */
const preprocessorSchema = z.object({
  do_normalize: z.boolean().nullish(),
  do_rescale: z.boolean().nullish(),
  do_center_crop: z.boolean().nullish(),
  image_mean: triple.nullish(),
  image_std: z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]).nullish(),
  rescale_factor: z.number().positive().nullish(),
  rescale_offset: z.boolean().nullish(),
  size: side.nullish(),
  crop_size: side.nullish(),
  crop_pct: z.number().positive().max(1).nullish(),
});

async function readPreprocessor(
  file: string,
): Promise<Pick<OnnxClassifier, "normalisation" | "inputSize" | "cropRatio">> {
  const found = await readBeside(file, "preprocessor_config.json", preprocessorSchema);
  if (found === undefined) return { normalisation: undefined, inputSize: undefined, cropRatio: undefined };
  const { path, value } = found;
  if (value.do_rescale === false) {
    throw new CheckpointError(
      `${path}: do_rescale is false: the model takes pictures of 0 to 255, not of 0 to 1`,
      {
        hint: "Remove do_rescale and divide image_mean and image_std by 255 (0 and 1/255 where there are none).",
      },
    );
  }
  const { size, crop_size: crop, crop_pct: part, do_center_crop: crops } = value;
  const cropped = crops === false ? undefined : (crop ?? undefined);
  return {
    normalisation: normalisationOf(value),
    inputSize: cropped ?? size ?? undefined,
    cropRatio: cropped && size ? Math.min(1, cropped[0] / Math.min(...size)) : (part ?? undefined),
  };
}

/** Of pixels of 0 to 1, from what is done to pixels of 0 to 255: × factor, − 1 with an offset, − mean, ÷ std. */
function normalisationOf(value: z.infer<typeof preprocessorSchema>): Normalisation | undefined {
  const none = value.do_normalize === false;
  const mean = none ? ([0, 0, 0] as const) : value.image_mean;
  const std = none ? ([1, 1, 1] as const) : value.image_std;
  if (!mean || !std) return undefined;
  const factor = 255 * (value.rescale_factor ?? 1 / 255);
  const scale = Math.abs(factor - 1) < 1e-4 ? 1 : factor; // written rounded at times
  const offset = value.rescale_offset === true ? 1 : 0;
  return {
    mean: [(mean[0] + offset) / scale, (mean[1] + offset) / scale, (mean[2] + offset) / scale],
    std: [std[0] / scale, std[1] / scale, std[2] / scale],
  };
}

const labelsSchema = z.object({ id2label: z.record(z.string(), z.string()).nullish() });

async function readClasses(file: string): Promise<readonly string[] | undefined> {
  const labels = (await readBeside(file, "config.json", labelsSchema))?.value.id2label;
  const names = labels ? inOrder(labels) : undefined;
  return names?.every((name, i) => name === `LABEL_${i}`) ? undefined : names; // transformers' placeholders
}

/** { "0": "cat", "1": "dog" } → names by index; undefined when an index is missing. */
function inOrder(labels: Readonly<Record<string, string>>): readonly string[] | undefined {
  const names = Array.from({ length: Object.keys(labels).length }, (_, i) => labels[String(i)]);
  return names.length > 0 && names.every((name) => name !== undefined) ? names : undefined;
}

const insideSchema = z.union([z.array(z.string()), z.record(z.string(), z.string()).transform(inOrder)]);

/** Names that an exporter wrote into the file: JSON, a Python dict ({0: 'cat', 1: 'dog'}) or a line each. */
function classesInside(text: string): readonly string[] | undefined {
  const json = insideSchema.safeParse(parsed(text));
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

/** A JSON file in the model's folder, or in the one above when that folder is called onnx. */
async function readBeside<T>(
  file: string,
  name: string,
  schema: z.ZodType<T>,
): Promise<{ path: string; value: T } | undefined> {
  const path = [dirname(file), modelFolder(file)]
    .map((candidate) => join(candidate, name))
    .find((candidate) => existsSync(candidate));
  if (path === undefined) return undefined;
  try {
    return { path, value: schema.parse(JSON.parse(await readFile(path, "utf8"))) };
  } catch (cause) {
    throw new FormatError(path, "does not describe the model beside it", {
      hint: `Mend or remove it; without it ${name === "config.json" ? "classes have numbers for names" : "pictures are normalised as ImageNet's"}.`,
      cause,
    });
  }
}
