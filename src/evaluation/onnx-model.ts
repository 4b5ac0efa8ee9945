/** An ONNX classifier of another maker, ready for pictures: beside our programs, never inside one. */
import type { PartialPreprocessing, Preprocessing } from "../augmentation/preprocessing.ts";
import { completePreprocessing, describeAssumed, mergePreprocessing } from "../augmentation/preprocessing.ts";
import { CheckpointError, ConfigError } from "../errors.ts";
import { input } from "../graph/graph.ts";
import { transpose } from "../graph/ops.ts";
import type { Program, TensorType } from "../graph/program.ts";
import { compile } from "../graph/program.ts";
import { createRuntime } from "../runtime/node.ts";
import type { Runtime, TensorData } from "../runtime/runtime.ts";
import type { OnnxClassifier } from "./onnx-classifier.ts";
import { readOnnxClassifier } from "./onnx-classifier.ts";

export interface OnnxModel {
  /** The file's name. */
  readonly name: string;
  readonly file: string;
  readonly numClasses: number;
  readonly inputSize: readonly [number, number];
  readonly classes: readonly string[] | undefined;
  /** How images are prepared: as options say, else what lies beside the file, else it itself, else DeiT's evaluation. */
  readonly preprocessing: Preprocessing;
  /** What the user should know, a sentence each. */
  readonly notes: readonly string[];
  readonly onnx: OnnxClassifier;
}

/** A float32 whose logarithm is finite, in place of a probability of 0. */
const SMALLEST = 1e-38;

export interface LoadOnnxOptions {
  /** [height, width] or a side, for files that take any. */
  readonly inputSize?: number | readonly [number, number] | undefined;
  /** How images are prepared, where not as the files say. */
  readonly preprocessing?: PartialPreprocessing | undefined;
}

/** @throws CheckpointError, ConfigError, DeviceError for files that cannot be used as a classifier */
export async function loadOnnxModel(
  file: string,
  { inputSize: wanted, preprocessing: given }: LoadOnnxOptions = {},
): Promise<OnnxModel> {
  const onnx = await readOnnxClassifier(file);
  const size = typeof wanted === "number" ? ([wanted, wanted] as const) : wanted;
  const inputSize = onnx.input.size ?? size ?? onnx.preprocessing.inputSize;
  if (inputSize === undefined) {
    throw new ConfigError("inputSize", `${file} takes images of any size`, {
      code: "options/missing",
      hint: "Say which with --input-size, for example --input-size 224 (--teacher-input-size for a teacher).",
    });
  }
  if (size !== undefined && size.join() !== inputSize.join()) {
    throw new ConfigError(
      "inputSize",
      `${file} takes images of ${inputSize.join(" × ")}, not ${size.join(" × ")}`,
      { code: "options/unsupported-by-model", hint: "Leave the input size out." },
    );
  }
  const known = { file, inputSize, onnx };
  const numClasses = onnx.output.numClasses ?? (await countClasses(known));
  const said = mergePreprocessing(given, onnx.preprocessing);
  const preprocessing = completePreprocessing(inputSize, said);
  const isNamed = onnx.classes?.length === numClasses;
  const assumed = describeAssumed(file, { said, used: preprocessing });
  return {
    ...known,
    name: file.replace(/^.*[/\\]/, ""),
    numClasses,
    classes: isNamed ? onnx.classes : undefined,
    preprocessing,
    notes: [
      ...onnx.notes,
      ...(assumed === undefined ? [] : [assumed]),
      ...(onnx.classes === undefined || isNamed
        ? []
        : [
            `${file} returns ${numClasses} classes; ${onnx.classes.length} names are of another model, and left out`,
          ]),
    ],
  };
}

/** Normalised pictures [B, 3, H, W] → logits [B, K]. */
export type OnnxAnswers = (pixels: Float32Array) => Promise<Float32Array>;

/** Loads the model beside other programs. A file with a batch size of its own is run as often as it takes. */
export async function loadOnnxAnswers(
  runtime: Runtime,
  { file, inputSize, onnx }: Pick<OnnxModel, "file" | "inputSize" | "onnx">,
  { batchSize }: { batchSize: number },
): Promise<OnnxAnswers> {
  const { input: source, output, model } = onnx;
  const rows = source.batch ?? batchSize;
  const [height, width] = inputSize;
  const shape = source.layout === "NCHW" ? [rows, 3, height, width] : [rows, height, width, 3];
  const type = (dims: readonly number[]): TensorType => ({ dtype: "float32", shape: dims });
  const program: Program = {
    name: file,
    target: runtime.target,
    model,
    inputs: { [source.name]: type(shape) },
    outputs: { [output.name]: type([rows, output.numClasses ?? 0]) },
    state: {},
  };
  const executable = await runtime.load(program);
  const toNhwc =
    source.layout === "NHWC"
      ? await runtime.load(
          compile({
            name: `${file}.layout`,
            target: runtime.target,
            outputs: {
              pixels: transpose(input("images", "float32", [rows, 3, height, width]), [0, 2, 3, 1]),
            },
          }),
        )
      : undefined;
  const rowLength = 3 * height * width;
  const answer = async (pixels: Float32Array): Promise<Float32Array> => {
    const images = toNhwc === undefined ? pixels : floats(await toNhwc.run({ images: pixels }), "pixels");
    const answers = floats(await executable.run({ [source.name]: images }), output.name);
    if (answers.some(Number.isNaN)) {
      throw new CheckpointError(`${file} answers with values that are no numbers`, {
        hint: "Its weights are not finite, or its arithmetic overflows: take the float32 file, or an earlier one.",
      });
    }
    return output.probabilities ? answers.map((p) => Math.log(Math.max(p, SMALLEST))) : answers;
  };
  return async (pixels) => {
    const batch = pixels.length / rowLength;
    if (batch === rows) return answer(pixels);
    const parts: Float32Array[] = [];
    for (let from = 0; from < batch; from += rows) {
      const chunk = new Float32Array(rows * rowLength); // the last may be padded
      chunk.set(pixels.subarray(from * rowLength, Math.min(batch, from + rows) * rowLength));
      parts.push(await answer(chunk));
    }
    const perRow = (parts[0]?.length ?? 0) / rows;
    const logits = new Float32Array(parts.length * rows * perRow);
    for (const [i, part] of parts.entries()) logits.set(part, i * rows * perRow);
    return logits.subarray(0, batch * perRow);
  };
}

/** Finds out by a run how many classes a model without a fixed output shape has. */
async function countClasses(model: Pick<OnnxModel, "file" | "inputSize" | "onnx">): Promise<number> {
  const runtime = await createRuntime({ device: "cpu", threads: 1 });
  try {
    const answers = await loadOnnxAnswers(runtime, model, { batchSize: 1 });
    const [height, width] = model.inputSize;
    return (await answers(new Float32Array(3 * height * width))).length;
  } finally {
    await runtime.close();
  }
}

function floats(outputs: Readonly<Record<string, TensorData>>, name: string): Float32Array {
  const data = outputs[name];
  if (!(data instanceof Float32Array)) throw new TypeError(`the output ${name} is no float32 tensor`);
  return data;
}
