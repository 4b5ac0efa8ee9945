/** An ONNX classifier of another maker, ready for images: beside our programs, never inside one. */
import type { PartialPreprocessing, Preprocessing } from "../../augmentation/preprocessing.ts";
import {
  completePreprocessing,
  describeAssumed,
  describeOtherSize,
  mergePreprocessing,
} from "../../augmentation/preprocessing.ts";
import { CheckpointError, ConfigError } from "../../errors.ts";
import { input } from "../../graph/graph.ts";
import { transpose } from "../../graph/ops.ts";
import type { Program, TensorType } from "../../graph/program.ts";
import { compile } from "../../graph/program.ts";
import { createRuntime } from "../../runtime/node.ts";
import type { Runtime, TensorData } from "../../runtime/runtime.ts";
import type { OnnxClassifier } from "./onnx-classifier.ts";
import { readOnnxClassifier } from "./onnx-classifier.ts";
import type { Scores } from "./onnx-answers.ts";
import {
  checkAnswers,
  checkBeside,
  classesOf,
  describeScores,
  scoresByValues,
  toLogits,
} from "./onnx-answers.ts";
import { createRandom } from "../../random.ts";

export interface OnnxModel {
  /** The file's name. */
  readonly name: string;
  readonly file: string;
  readonly numClasses: number;
  readonly inputSize: readonly [number, number];
  readonly classes: readonly string[] | undefined;
  /** How images are prepared: as options say, else what lies beside the file, else it itself, else DeiT's evaluation. */
  readonly preprocessing: Preprocessing;
  /** Whether it is run for an image embedding, not for logits: `numClasses` is the width of that. */
  readonly embedding: boolean;
  /** What the user should know, a sentence each. */
  readonly notes: readonly string[];
  readonly onnx: KnownOnnx;
}

export interface LoadOnnxOptions {
  /** [height, width] or a side, for files that take any. */
  readonly inputSize?: number | readonly [number, number] | undefined;
  /** How images are prepared, where not as the files say. */
  readonly preprocessing?: PartialPreprocessing | undefined;
  /** It is run for an image embedding, not for logits: `numClasses` is the width of that. */
  readonly embedding?: boolean | undefined;
}

/** @throws CheckpointError, ConfigError, DeviceError for files that cannot be used as a classifier */
export async function loadOnnxModel(
  file: string,
  { inputSize: wanted, preprocessing: given, embedding = false }: LoadOnnxOptions = {},
): Promise<OnnxModel> {
  const onnx = await readOnnxClassifier(file, { embedding });
  const size = typeof wanted === "number" ? ([wanted, wanted] as const) : wanted;
  const inputSize = onnx.input.size ?? size ?? onnx.preprocessing.inputSize;
  if (inputSize === undefined) {
    throw new ConfigError("inputSize", `${file} takes images of any size`, {
      code: "options/missing",
      hint: "Set it with --input-size, for example --input-size 224 (--teacher-input-size for a teacher).",
    });
  }
  if (size !== undefined && size.join() !== inputSize.join()) {
    throw new ConfigError(
      "inputSize",
      `${file} takes images of ${inputSize.join(" × ")}, not ${size.join(" × ")}`,
      { code: "options/unsupported-by-model", hint: "Leave the input size out." },
    );
  }
  const said = mergePreprocessing(given, onnx.preprocessing);
  const preprocessing = completePreprocessing(inputSize, said);
  const output = await knownOutput({ file, inputSize, onnx, preprocessing, embedding });
  const numClasses = classesOf(output.scores, output.columns);
  const classes = embedding ? undefined : namesFor(numClasses, onnx.classes);
  const scores = describeScores(file, output.scores);
  const assumed = describeAssumed(file, { said, used: preprocessing });
  const other = size === undefined ? describeOtherSize(file, { said, used: preprocessing }) : undefined;
  const unnamed =
    onnx.classes !== undefined && classes === undefined && !embedding
      ? `${file} returns ${numClasses} classes: its ${onnx.classes.length} names are of another model, and left out`
      : undefined;
  return {
    file,
    inputSize,
    name: file.replace(/^.*[/\\]/, ""),
    numClasses,
    classes,
    preprocessing,
    embedding,
    notes: [...onnx.notes, ...[assumed, other, scores, unnamed].filter((note) => note !== undefined)],
    onnx: { ...onnx, output },
  };
}

/** Names by index; of two classes the second alone may have one. */
function namesFor(numClasses: number, names: readonly string[] | undefined): readonly string[] | undefined {
  if (names?.length === numClasses) return names;
  const [only] = names ?? [];
  return numClasses === 2 && names?.length === 1 && only !== undefined ? [`not ${only}`, only] : undefined;
}

/** Normalised images [B, 3, H, W] → logits [B, K]. */
export type OnnxAnswers = (pixels: Float32Array) => Promise<Float32Array>;

/** A file whose output is known. */
type KnownOnnx = Omit<OnnxClassifier, "output"> & { readonly output: KnownOutput };
type KnownOutput = { readonly name: string; readonly columns: number; readonly scores: Scores };

/**
 * Loads the model beside other programs. A file with a batch size of its own is run as often as it takes.
 * @throws CheckpointError, then or when it answers, for what is not finite, or not a row for each image
 */
export async function loadOnnxAnswers(
  runtime: Runtime,
  { file, inputSize, onnx }: Pick<OnnxModel, "file" | "inputSize" | "onnx">,
  { batchSize }: { batchSize: number },
): Promise<OnnxAnswers> {
  const { scores } = onnx.output;
  const run = await loadForeign(runtime, { file, inputSize, onnx }, { batchSize });
  return async (pixels) => toLogits(await run(pixels), scores);
}

/** Normalised images [B, 3, H, W] → what the model returns [B, columns], checked. */
async function loadForeign(
  runtime: Runtime,
  { file, inputSize, onnx }: Pick<OnnxModel, "file" | "inputSize"> & { onnx: OnnxClassifier },
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
    outputs: { [output.name]: type([rows, output.columns ?? 0]) },
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
    const returned = (await executable.run({ [source.name]: images }))[output.name];
    return checkAnswers(returned, { file, rows, columns: output.columns });
  };
  return async (pixels) => {
    const batch = pixels.length / rowLength;
    if (batch === rows) return answer(pixels);
    const parts: Float32Array[] = [];
    for (let from = 0; from < batch; from += rows) {
      const chunk = new Float32Array(rows * rowLength);
      for (let i = 0; i < rows; i++) {
        const row = Math.min(from + i, batch - 1) * rowLength; // the last image fills up the last chunk
        chunk.set(pixels.subarray(row, row + rowLength), i * rowLength);
      }
      parts.push(await answer(chunk));
    }
    const perRow = (parts[0]?.length ?? 0) / rows;
    const logits = new Float32Array(parts.length * rows * perRow);
    for (const [i, part] of parts.entries()) logits.set(part, i * rows * perRow);
    return logits.subarray(0, batch * perRow);
  };
}

/** Images of a trial: answers to several are needed to tell what they are. Large images are fewer. */
const TRIAL = 4;
const TRIAL_PIXELS = 2 ** 22;
/** Their colours, from and to, of 0 to 1: noise, dark, light, red. No image is of one colour alone. */
const TRIAL_COLOURS: readonly (readonly (readonly [number, number])[])[] = [
  [
    [0, 1],
    [0, 1],
    [0, 1],
  ],
  [
    [0, 0.1],
    [0, 0.1],
    [0, 0.1],
  ],
  [
    [0.9, 1],
    [0.9, 1],
    [0.9, 1],
  ],
  [
    [0.8, 1],
    [0, 0.2],
    [0, 0.2],
  ],
];

interface Trial extends Pick<OnnxModel, "file" | "inputSize" | "preprocessing"> {
  readonly onnx: OnnxClassifier;
  readonly embedding: boolean;
}

/**
 * What the file leaves open of its output is found out by a run on trial images.
 * @throws CheckpointError for one number for each image that is not a probability, and what `checkAnswers` and `checkBeside` throw
 */
async function knownOutput(trial: Trial): Promise<KnownOutput> {
  const { file, onnx, embedding } = trial;
  const { name, columns: said } = onnx.output;
  const inside = embedding ? "logits" : onnx.output.scores; // numbers of any size, to be kept
  const needsTrial = said === undefined || inside === undefined;
  const values = needsTrial ? await trialAnswers(trial) : undefined;
  const columns = said ?? (values?.data.length ?? 0) / (values?.rows ?? 1);
  const scores = inside ?? scoresByValues(values?.data ?? new Float32Array(), columns);
  if (columns > 1) return { name, columns, scores: scores === "binary" ? "logits" : scores };
  const isTwo = scores === "independent" || scores === "binary" || onnx.classes?.length === 2;
  if (isTwo && scores !== "probabilities")
    return {
      name,
      columns,
      scores: scores === "independent" || scores === "binary" ? "binary" : "binary-logit",
    };
  throw new CheckpointError(`${file} returns one number for each image, which names no class`, {
    code: "onnx/no-classifier",
    hint: "Export it with a row of logits for each image, or, for two classes, end it with Sigmoid.",
  });
}

async function trialAnswers(trial: Trial): Promise<{ readonly data: Float32Array; readonly rows: number }> {
  const { file, inputSize, onnx } = trial;
  const [height, width] = inputSize;
  const fitting = Math.floor(TRIAL_PIXELS / (height * width));
  const rows = onnx.input.batch ?? Math.max(2, Math.min(TRIAL, fitting));
  const runtime = await createRuntime({ device: "cpu", threads: 1 });
  try {
    const pixels = trialImages(rows, trial);
    const run = await loadForeign(runtime, trial, { batchSize: rows });
    const data = await run(pixels);
    if (onnx.input.batch === undefined) {
      const single = await loadForeign(runtime, trial, { batchSize: 1 });
      checkBeside(data, { alone: await single(pixels.subarray((rows - 1) * 3 * height * width)), file });
    }
    return { data, rows };
  } finally {
    await runtime.close();
  }
}

/** Images as they come in use, normalised [rows, 3, height, width]: a model may take roots of them. */
function trialImages(
  rows: number,
  { inputSize: [height, width], preprocessing: { mean, std } }: Trial,
): Float32Array {
  const random = createRandom(0, "trial");
  const plane = height * width;
  return Float32Array.from({ length: rows * 3 * plane }, (_, i) => {
    const channel = Math.floor(i / plane) % 3;
    const colours = TRIAL_COLOURS[Math.floor(i / plane / 3) % TRIAL_COLOURS.length];
    const [from = 0, to = 1] = colours?.[channel] ?? [];
    return (random.uniform(from, to) - (mean[channel] ?? 0)) / (std[channel] ?? 1);
  });
}

function floats(outputs: Readonly<Record<string, TensorData>>, name: string): Float32Array {
  const data = outputs[name];
  if (!(data instanceof Float32Array)) throw new TypeError(`the output ${name} is not a float32 tensor`);
  return data;
}
