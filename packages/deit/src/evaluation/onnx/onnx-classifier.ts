/**
 * What an ONNX image classifier of any maker says about itself: where images go in and logits come out, found by their
 * shapes, its metadata, and what lies beside the file (config.json, preprocessor_config.json).
 */
import { readFile, stat } from "node:fs/promises";
import type { PartialPreprocessing } from "../../augmentation/preprocessing.ts";
import { mergePreprocessing } from "../../augmentation/preprocessing.ts";
import { CheckpointError, DataError, FormatError } from "../../errors.ts";
import { readModelSettings } from "../../formats/model-settings.ts";
import { withWeightsInside } from "../../interop/onnx-external.ts";
import type { Scores } from "./onnx-answers.ts";
import { makerOf, scoresInside } from "./onnx-answers.ts";
import type { OnnxSignature } from "./onnx-signature.ts";
import type { OnnxProblem } from "./onnx-inspection.ts";
import { inspectOnnx } from "./onnx-inspection.ts";
import { embeddingInside } from "./onnx-embedding.ts";
import { describeValues, readOnnxSignature } from "./onnx-signature.ts";
import { classesInside, preprocessingInside } from "./onnx-metadata.ts";

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
    /** Numbers for each image: classes, or 1 of two classes. */
    readonly columns: number | undefined;
    /** What the numbers are; undefined when the file leaves it open. */
    readonly scores: Scores | undefined;
  };
  /** What the files beside it say of how images are prepared, else it itself. */
  readonly preprocessing: PartialPreprocessing;
  /** Names by index: config.json's, else those in the file. */
  readonly classes: readonly string[] | undefined;
  /** What the user should know, a sentence each. */
  readonly notes: readonly string[];
}

/** What detectors and segmenters call what they return beside scores. */
const BOXES = /box|mask|keypoint|landmark/i;

/** Protocol buffers, and so ONNX files in one piece, end here. */
const LARGEST = 2 ** 31;
/** Values of one batch, and classes, beyond which a file is damaged rather than large. */
const LARGEST_BATCH = 2 ** 27;
const LARGEST_HEAD = 2 ** 20;

/**
 * `embedding`: its output is not the logits but an image embedding, which `scores` leave open.
 * @throws DataError when there is no such file, FormatError when it is not an ONNX file, CheckpointError when it is not a classifier
 */
export async function readOnnxClassifier(
  file: string,
  { embedding = false }: { readonly embedding?: boolean } = {},
): Promise<OnnxClassifier> {
  const bytes = await readBytes(file);
  const signature = parse(file, bytes);
  const input = imageInput(file, signature);
  const logits = embedding ? undefined : logitsOutput(file, signature);
  const settings = await readModelSettings(file);
  const inside = preprocessingInside(signature.metadata, file);
  const classes = settings.classes ?? classesInside(signature.metadata);
  const whole = signature.external ? await withWeightsInside(bytes, file) : bytes;
  const found =
    logits === undefined
      ? embeddingInside(file, { model: whole, signature, isClassifier: classes !== undefined })
      : undefined;
  return {
    file,
    model: found?.model ?? whole,
    input,
    output: logits ?? {
      scores: undefined,
      columns: undefined,
      ...found?.output,
      name: found?.output.name ?? "",
    },
    preprocessing: mergePreprocessing(settings.preprocessing, inside),
    classes,
    notes: [...settings.notes, ...(found?.note === undefined ? [] : [found.note])],
  };
}

async function readBytes(file: string): Promise<Uint8Array> {
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) {
    throw new DataError(file, found === undefined ? `there is no file ${file}` : `${file} is not a file`, {
      code: "checkpoint/not-found",
      hint: "Give the path of an .onnx file.",
    });
  }
  if (found.size === 0)
    throw new FormatError(file, "is empty", {
      code: "checkpoint/damaged",
      hint: "Export or download it again.",
    });
  if (found.size >= LARGEST) {
    throw new FormatError(file, "is larger than 2 GiB, more than an ONNX file can be", {
      code: "checkpoint/damaged",
      hint: "It is damaged, or another kind of file.",
    });
  }
  try {
    const { buffer, byteOffset, byteLength } = await readFile(file);
    return new Uint8Array(buffer, byteOffset, byteLength); // no Buffer, whose slice() shares its memory
  } catch (cause) {
    throw new DataError(file, `${file} cannot be read`, {
      code: "checkpoint/not-found",
      hint: "Check its permissions.",
      cause,
    });
  }
}

function parse(file: string, bytes: Uint8Array): OnnxSignature {
  const refuse = (problem: string, cause?: unknown): never => {
    throw new FormatError(file, `is not an ONNX model: ${problem}`, {
      code: "checkpoint/damaged",
      hint: "It may be cut off, a Git LFS pointer or another format under this name (safetensors files keep their own ending). Export or download it again.",
      cause,
    });
  };
  let problem: OnnxProblem | undefined;
  try {
    problem = inspectOnnx(bytes);
    const signature = readOnnxSignature(bytes);
    if (problem === undefined && signature.nodes > 0 && signature.opsets > 0) return signature;
  } catch (cause) {
    return refuse("its bytes cannot be read as one", cause);
  }
  if (problem !== undefined)
    throw new FormatError(file, problem.problem, { code: "onnx/refused", hint: problem.hint });
  return refuse("there is no whole graph in it");
}

function imageInput(file: string, { inputs }: OnnxSignature): OnnxClassifier["input"] {
  const refuse = (problem: string, hint: string): never => {
    throw new CheckpointError(`${file} is not an image classifier: ${problem}`, {
      code: "onnx/no-classifier",
      hint,
    });
  };
  const [image] = inputs;
  if (image?.dims?.length !== 4 || inputs.length > 1) {
    return refuse(
      `expected one input of images [batch, 3, height, width]; it takes ${describeValues(inputs)}`,
      inputs.some(({ name }) => name === "input_ids")
        ? "It also takes texts: give its image encoder, onnx/vision_model.onnx."
        : "Give a model that takes only images and returns logits.",
    );
  }
  if (image.dtype !== "float32") {
    return refuse(
      `expected float32 images; it takes ${describeValues(inputs)}`,
      image.dtype === "uint8"
        ? "It prepares images itself, which is done before it here: give the form without that (deit export without --preprocessing)."
        : "Export it with float32 inputs and outputs (weights may be of any type).",
    );
  }
  const [batch, second, third, fourth] = image.dims;
  const layout = second !== 3 && fourth === 3 ? "NHWC" : "NCHW";
  if (layout === "NCHW" && second !== undefined && second !== 3) {
    return refuse(
      `expected images of 3 channels; it takes ${describeValues(inputs)}`,
      "Give a model for RGB images.",
    );
  }
  const [height, width] = layout === "NCHW" ? [third, fourth] : [second, third];
  if ((batch ?? 1) * 3 * (height ?? 1) * (width ?? 1) > LARGEST_BATCH) {
    return refuse(
      `its images are too large to be true: ${describeValues(inputs)}`,
      "Export or download it again.",
    );
  }
  const size = height === undefined || width === undefined ? undefined : ([height, width] as const);
  return { name: image.name, layout, size, batch };
}

function logitsOutput(file: string, signature: OnnxSignature): OnnxClassifier["output"] {
  const { outputs } = signature;
  if (outputs.some(({ name, dims }) => BOXES.test(name) || (dims?.length === 3 && dims[2] === 4))) {
    throw new CheckpointError(
      `${file} is not an image classifier but a detector: it returns ${describeValues(outputs)}`,
      { code: "onnx/no-classifier", hint: "Give a model that returns one row of logits for each image." },
    );
  }
  const rows = outputs.filter(({ dtype, dims }) => dtype === "float32" && (dims?.length ?? 2) === 2);
  const chosen = rows.find(({ name }) => name === "logits") ?? (rows.length === 1 ? rows[0] : undefined);
  const columns = chosen?.dims?.[1];
  if (chosen !== undefined && makerOf(signature, chosen.name)?.type === "TopK") {
    throw new CheckpointError(`${file} returns only the largest scores (TopK), not those of each class`, {
      code: "onnx/no-classifier",
      hint: "Export it without TopK behind the scores.",
    });
  }
  if (chosen !== undefined && (columns ?? 1) <= LARGEST_HEAD)
    return { name: chosen.name, columns, scores: scoresInside(signature, chosen.name) };
  const unflattened = outputs.some(({ dims }) => dims?.length === 4 && dims[2] === 1 && dims[3] === 1);
  throw new CheckpointError(
    `${file} is not an image classifier: expected one float32 output of logits [batch, classes]; it returns ${describeValues(outputs)}`,
    {
      code: "onnx/no-classifier",
      hint: unflattened
        ? "Export it with a Flatten behind the last layer, so that its logits have two axes."
        : "Export it so that its logits are its only float32 output of two axes, or call them `logits`.",
    },
  );
}
