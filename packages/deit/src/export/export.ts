/**
 * A trained model for other programs. Whatever the format, it is written beside its place, reloaded, run on images and
 * compared with the model it was made of; only then does it take its place.
 */
import type { PartialPreprocessing } from "../augmentation/preprocessing.ts";
import { mkdir, readdir, rename, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Dataset } from "../data/dataset.ts";
import type { DataOptions } from "../data/open.ts";
import { openDatasets, openEvaluation } from "../data/open.ts";
import { CheckpointError, ConfigError, DataError, DeitError, firstLine } from "../errors.ts";
import type { LoadedModel } from "../evaluation/checkpoints/load-model.ts";
import { loadModel } from "../evaluation/checkpoints/load-model.ts";
import type { Selection } from "../evaluation/metrics/share.ts";
import { makeFolder } from "../formats/atomic-file.ts";
import { toFloat16 } from "../interop/to-float16.ts";
import type { Answers, Comparison } from "./check.ts";
import { answersOfFile, answersOfModel, classesOf, compare, TOLERANCE } from "./check.ts";
import { confusionImage } from "./confusion-figure.ts";
import { modelCard } from "./model-card.ts";
import { deployedModel } from "./onnx.ts";
import { answersOfPrepared, comparePrepared } from "./prepared.ts";
import { quantizedModel } from "./quantized.ts";
import { areWhole, takeSample } from "./sample.ts";
import { staged } from "./staging.ts";
import { taughtBy } from "./teacher-licence.ts";
import { checkTimmFolder } from "./timm.ts";
import type { Sample } from "./sample.ts";
import { answersOfPipeline, loadTransformersJs, PRECISIONS } from "./transformers-js.ts";
import type { Precision } from "./transformers-js.ts";
import { classNames, WEIGHTS, writeHuggingFace, writeOwn, writeTimm } from "./weights.ts";

export type ExportFormat = "transformers-js" | "onnx" | "safetensors" | "timm" | "huggingface";

export interface ExportOptions extends DataOptions {
  /** A file, a run folder or a Hub id. */
  readonly checkpoint: string;
  readonly format: ExportFormat;
  /** The folder, or for onnx and safetensors the file, that is made. */
  readonly out: string;
  readonly model?: string | undefined;
  readonly inputSize?: number | readonly [number, number] | null | undefined;
  /** Which of a checkpoint's weights: "model", "ema", or their name in the file. */
  readonly weights?: string | null | undefined;
  /** How images are prepared, where not as the checkpoint says. */
  readonly preparation?: PartialPreprocessing | undefined;
  /** The images are a run's own: where they can no longer be opened, the export is checked with noise. */
  readonly ofRun?: boolean | undefined;
  /** How the weights were chosen, where the images are those that this was done with; for the model card. */
  readonly selection?: Selection | undefined;
  /** The checkpoint that taught the model, for the model card. */
  readonly teacher?: string | undefined;
  /** Images to check with, at most. */
  readonly images?: number;
  /** Of onnx: version of the operators, and whether images are prepared inside. */
  readonly opset?: number;
  readonly preprocessing?: boolean;
  /** Replace what is there. */
  readonly overwrite?: boolean;
  readonly onEvent?: (event: ExportEvent) => void;
  /** Stops at the next step; nothing is left behind. */
  readonly signal?: AbortSignal;
}

export type ExportEvent =
  | { readonly type: "progress"; readonly message: string }
  | { readonly type: "warning"; readonly message: string };

/** What `deit export --json` prints. */
export interface ExportResult {
  readonly format: ExportFormat;
  readonly path: string;
  readonly model: string;
  readonly files: readonly { readonly file: string; readonly bytes: number }[];
  /** Each file against the model that was exported. */
  readonly comparisons: readonly Comparison[];
}

const IMAGES = 200;

/** @throws ConfigError, DataError, CheckpointError; DeitError when the export does not answer as the model does */
export async function exportModel(options: ExportOptions): Promise<ExportResult> {
  const { checkpoint, format, images = IMAGES, onEvent = () => {} } = options;
  const out = resolve(options.out);
  await checkPlace(out, options);
  const say = (message: string): void => {
    options.signal?.throwIfAborted();
    onEvent({ type: "progress", message });
  };
  const warn = (message: string): void => onEvent({ type: "warning", message });
  const loaded = await loadModel(checkpoint, {
    model: options.model,
    inputSize: options.inputSize ?? undefined,
    weights: options.weights ?? undefined,
    preprocessing: options.preparation,
  });
  loaded.notes.forEach(warn);
  const { model, preprocessing } = loaded;
  const dataset = await imagesFor(options, loaded, warn).catch((error: unknown) => {
    if (options.ofRun !== true || !(error instanceof DataError)) throw error;
    warn(`the images of ${checkpoint} can no longer be opened: ${firstLine(error)}`);
    return undefined;
  });
  if (dataset === undefined) warn("no images were given (--data-path): the export is checked with noise");
  say("running the model");
  const sample = await takeSample(dataset, { preprocessing, count: images });
  const reference = await answersOfModel(loaded, sample);
  const comparisons = await staged(out, async (place) => {
    // without images to check with there are none to learn int8's ranges from
    const opened = dataset === undefined ? { ...options, dataPath: null, dataSet: "auto" as const } : options;
    const context: Context = {
      options: opened,
      loaded,
      sample,
      reference,
      staged: place,
      name: basename(out),
      say,
      warn,
    };
    const found = await WRITERS[format](context);
    options.signal?.throwIfAborted();
    return found;
  });
  return { format, path: options.out, model: model.name, files: await filesOf(out), comparisons };
}

interface Context {
  readonly options: ExportOptions;
  readonly loaded: LoadedModel;
  readonly sample: Sample;
  readonly reference: Answers;
  /** Where it is written first. */
  readonly staged: string;
  readonly name: string;
  readonly say: (message: string) => void;
  readonly warn: (message: string) => void;
}

/** Each writes `staged`, and says how it compares. */
const WRITERS: Readonly<Record<ExportFormat, (context: Context) => Promise<Comparison[]>>> = {
  "transformers-js": writeTransformersJs,
  async onnx(context) {
    const { loaded, options, staged, name } = context;
    const { opset, preprocessing } = options;
    const settings = { ...(opset !== undefined && { opset }), ...(preprocessing && { preprocessing }) };
    const file = `${staged}.onnx`;
    await writeFile(file, deployedModel(loaded, settings));
    // What prepares images itself is checked twice: without that part, digit by digit, and with whole images.
    if (preprocessing) await writeFile(`${staged}.pixels.onnx`, deployedModel(loaded));
    const checked = preprocessing ? `${staged}.pixels.onnx` : file;
    const comparisons = [await checkFile(context, { path: checked, file: name })];
    if (preprocessing) comparisons.push(await checkPrepared(context, { path: file, file: name }));
    await rename(file, staged);
    return comparisons;
  },
  async safetensors(context) {
    const { loaded, staged, name } = context;
    const file = `${staged}.safetensors`;
    await writeOwn(file, loaded);
    const comparison = await checkFile(context, { path: file, file: name });
    await rename(file, staged);
    return [comparison];
  },
  async timm(context) {
    await mkdir(context.staged, { recursive: true });
    const { staged, loaded } = context;
    await writeTimm(staged, loaded);
    await checkTimmFolder(staged, { weights: WEIGHTS, model: loaded.model });
    return [await checkFile(context, { path: join(context.staged, WEIGHTS), file: WEIGHTS })];
  },
  async huggingface(context) {
    await mkdir(context.staged, { recursive: true });
    await writeHuggingFace(context.staged, context.loaded, { whole: await areWhole(context.sample) });
    return [await checkFile(context, { path: join(context.staged, WEIGHTS), file: WEIGHTS })];
  },
};

async function writeTransformersJs(context: Context): Promise<Comparison[]> {
  const { loaded, sample, reference, staged, name, say, warn } = context;
  await mkdir(join(staged, "onnx"), { recursive: true });
  await writeHuggingFace(staged, loaded, { whole: await areWhole(sample) });
  const comparisons = [await checkFile(context, { path: join(staged, WEIGHTS), file: WEIGHTS })];
  say("writing onnx/model.onnx");
  const fp32 = deployedModel(loaded);
  const write = async (precision: Precision, bytes: Uint8Array): Promise<void> =>
    writeFile(join(staged, PRECISIONS[precision].file), bytes);
  await write("fp32", fp32);
  say("writing onnx/model_fp16.onnx");
  await write("fp16", toFloat16(fp32));
  say("writing onnx/model_quantized.onnx");
  const int8 = await quantizedModel(fp32, { loaded, dataset: await calibrationImages(context) });
  await write("int8", int8.bytes);
  for (const precision of ["fp32", "fp16", "int8"] as const) {
    const { file } = PRECISIONS[precision];
    say(`running ${file}`);
    comparisons.push(await checkFile(context, { path: join(staged, file), file, precision }));
  }
  const transformers = await loadTransformersJs();
  if (transformers === undefined) {
    warn(
      "transformers.js is not installed: the folder was checked with ONNX Runtime only (npm install @huggingface/transformers)",
    );
  } else {
    for (const precision of ["fp32", "fp16", "int8"] as const) {
      say(`running transformers.js, ${precision}`);
      const { file } = PRECISIONS[precision];
      const found = await answersOfPipeline(transformers, staged, {
        sample,
        precision,
        classes: classNames(loaded),
      });
      const { size: bytes } = await stat(join(staged, file));
      comparisons.push(
        compare(reference, found, { labels: sample.labels, file, by: "transformers.js", bytes }),
      );
    }
  }
  const figure = await writeFigure(context);
  const dataName = sample.dataset && datasetName(context.options, sample.dataset);
  // a run's own export has the name of its format: the run's says more
  const title = name === "transformers-js" ? basename(dirname(staged)) : name;
  const card = modelCard({
    loaded,
    dataName,
    selection: sample.dataset && context.options.selection,
    comparisons,
    calibratedWith: int8.calibratedWith,
    figure,
    taughtBy: context.options.teacher === undefined ? undefined : await taughtBy(context.options.teacher),
    name: title,
    folder: name,
  });
  await writeFile(join(staged, "README.md"), card);
  return comparisons;
}

/** Training images for int8's ranges; those are taken from each image itself where there are none. */
async function calibrationImages({ options, warn }: Context): Promise<Dataset | undefined> {
  const dataset = await trainingImages(options);
  if (dataset === undefined)
    warn("no images to calibrate int8: ranges are computed for every image, which is slower");
  return dataset;
}

/** Reloads a file and compares. @throws DeitError when it should be the same, and is not */
async function checkFile(
  { sample, reference }: Context,
  { path, file, precision = "fp32" }: { path: string; file: string; precision?: Precision },
): Promise<Comparison> {
  const { size: bytes } = await stat(path);
  const found = await answersOfFile(path, sample);
  const comparison = compare(reference, found, { labels: sample.labels, file, by: "deit", bytes });
  const { largestDifference = 0 } = comparison;
  if (precision === "fp32" ? !(largestDifference <= TOLERANCE) : !Number.isFinite(largestDifference)) {
    throw new DeitError(
      `${file} does not match the original model: a logit differs by ${largestDifference}; nothing was exported`,
      {
        code: "export/wrong-answers",
        hint: "This is a fault of deit-ts: please report it with the model's name.",
      },
    );
  }
  return comparison;
}

/** Runs a file that prepares images itself on whole ones. @throws DeitError when its answers are others */
async function checkPrepared(
  { sample, reference, loaded, say }: Context,
  { path, file }: { path: string; file: string },
): Promise<Comparison> {
  say(`running ${file} on whole images`);
  const { size: bytes } = await stat(path);
  const found = await answersOfPrepared(path, { sample, loaded, reference });
  return comparePrepared(found, { labels: sample.labels, file, bytes });
}

async function writeFigure({ sample, reference, staged }: Context): Promise<string | undefined> {
  const { labels } = sample;
  if (sample.dataset === undefined || labels.every((label) => label < 0)) return undefined;
  const known = [...labels.keys()].filter((i) => (labels[i] ?? -1) >= 0);
  const predicted = classesOf(reference);
  const pairs = {
    labels: Int32Array.from(known, (i) => labels[i] ?? 0),
    predicted: Int32Array.from(known, (i) => predicted[i] ?? -1),
    numClasses: reference.numClasses,
  };
  const name = "confusion.svg";
  await writeFile(join(staged, name), confusionImage(pairs, sample.dataset.classes));
  return name;
}

/** Validation images; undefined when the options name none. @throws CheckpointError for images of other classes */
async function imagesFor(
  options: ExportOptions,
  { metadata, model }: LoadedModel,
  onNote: (note: string) => void,
): Promise<Dataset | undefined> {
  if (!namesImages(options)) return undefined;
  const [run] = [options.recorded ?? []].flat();
  const heldNone =
    run?.images !== undefined && [...run.images.values()].every(({ part }) => part !== "validation");
  if (heldNone)
    onNote(`${run.run} held no images out: the export is checked with those that it was trained on`);
  const split = heldNone ? "train" : "val";
  const dataset = await openEvaluation({ ...options, split, classes: metadata.classes }, { onNote });
  const largest = dataset.labels.reduce((most, label) => Math.max(most, label), -1);
  if (largest < model.config.numClasses) return dataset;
  throw new CheckpointError(
    `${dataset.name} has class ${largest}, but the model knows ${model.config.numClasses} classes`,
    {
      code: "data/unknown-class",
      hint: "Name images of the classes that the model was trained for, or none.",
    },
  );
}

/** Those that the model may have learnt from, where there are some apart from those it is measured with. No labels are used. */
async function trainingImages(options: ExportOptions): Promise<Dataset | undefined> {
  if (!namesImages(options)) return undefined;
  return openDatasets(options).then(
    ({ train }) => train,
    async () => openEvaluation(options), // validation images alone
  );
}

function namesImages({ dataPath, dataSet = "auto" }: ExportOptions): boolean {
  return (dataPath ?? null) !== null || dataSet === "cifar10" || dataSet === "cifar100";
}

function datasetName({ dataPath, dataSet = "auto" }: ExportOptions, dataset: Dataset): string {
  if (dataSet === "cifar10" || dataSet === "cifar100") return dataSet;
  return dataPath === null || dataPath === undefined ? dataset.name : basename(resolve(dataPath));
}

/** @throws ConfigError when something else is there */
async function checkPlace(out: string, { format, overwrite = false }: ExportOptions): Promise<void> {
  const isFile = format === "onnx" || format === "safetensors";
  const ending = format === "onnx" ? ".onnx" : ".safetensors";
  if (isFile && !out.endsWith(ending)) {
    throw new ConfigError("out", `${basename(out)}: a name that ends in ${ending} was expected`, {
      code: "options/value",
      hint: `For example --out ${basename(out)}${ending}.`,
    });
  }
  await makeFolder(dirname(out), { what: "the export" });
  const found = await stat(out).catch(() => undefined);
  if (found === undefined || overwrite) return;
  if (found.isDirectory() && (await readdir(out)).length === 0) return;
  throw new ConfigError(isFile ? "out" : "outputDir", `${out} already exists`, {
    code: "files/exists",
    hint: "Choose another path, or replace it with --overwrite.",
  });
}

async function filesOf(out: string): Promise<{ file: string; bytes: number }[]> {
  const { size, ...found } = await stat(out).then((stats) => ({ size: stats.size, isFile: stats.isFile() }));
  if (found.isFile) return [{ file: basename(out), bytes: size }];
  const entries = await readdir(out, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const sized = files.map(async (path) => ({
    file: path.slice(out.length + 1).replaceAll("\\", "/"),
    bytes: (await stat(path)).size,
  }));
  return (await Promise.all(sized)).toSorted((a, b) => (a.file < b.file ? -1 : 1));
}
