/** A model that classifies images: opened once, asked many times. Nothing runs until it is asked. */
import { completePreprocessing, evaluationTransform } from "../augmentation/preprocessing.ts";
import { writePlanar } from "../augmentation/rgb-image.ts";
import { createTransform } from "../augmentation/transform.ts";
import type { Dataset } from "../data/dataset.ts";
import { workerPool } from "../data/loading/loader-pool.ts";
import type { Batch } from "../data/loading/loader.ts";
import { createLoader } from "../data/loading/loader.ts";
import { openEvaluation } from "../data/open.ts";
import { createPlan } from "../data/loading/epoch-plan.ts";
import { workersFor } from "../data/loading/workers.ts";
import { DeitError } from "../errors.ts";
import { createRandom } from "../random.ts";
import { classifierDevice, floats } from "./classifier-device.ts";
import type {
  AnswersOptions,
  Classifier,
  ClassifierOptions,
  ClassifyOptions,
  DatasetAnswers,
  Images,
  OpenClassifierOptions,
  PassOptions,
  ReadoutBatch,
} from "./classifier-types.ts";
import type { ImageInput } from "./image-input.ts";
import { readImage } from "./image-input.ts";
import type { Readout } from "./intermediates.ts";
import { FEATURES } from "./intermediates.ts";
import type { LoadedModel } from "./checkpoints/load-model.ts";
import { loadModel } from "./checkpoints/load-model.ts";
import { locateCheckpoint } from "./checkpoints/locate-checkpoint.ts";
import { firstIn, VISION_WEIGHTS } from "../formats/model-folder.ts";
import type { BatchRows, Evaluator } from "./logits.ts";
import { inOrder, streamOutputs, tellWarnings } from "./logits.ts";
import type { Prediction } from "./metrics/metrics.ts";
import { EvaluationMeter, mainLogits, topPredictions } from "./metrics/metrics.ts";
import type { OnnxModel } from "./onnx/third-party-model.ts";
import { loadOnnxModel } from "./onnx/third-party-model.ts";
import { EVALUATION, finiteLogits, headLogits } from "./evaluation-program.ts";

export type * from "./classifier-types.ts";

/**
 * Opens a checkpoint for questions: a run folder, a model folder, a .safetensors, .pth or .onnx file, a Hub id
 * (owner/name), an address, the name of a registered model with pretrained weights, or a model in memory (`createModel`).
 *
 *     await using classifier = await openClassifier("runs/photos");
 *     const [best] = await classifier.classify("cat.jpg");
 *
 * @throws DataError, FormatError, ConfigError, CheckpointError saying what does not fit
 */
export async function openClassifier(
  given: string | LoadedModel,
  options: OpenClassifierOptions = {},
): Promise<Classifier> {
  if (typeof given !== "string") return classifierOf(given, options);
  const { intermediates = false, embedding = false, preprocessing } = options;
  const [inputSize, weights] = [options.inputSize ?? undefined, options.weights ?? undefined];
  const vision = embedding ? await firstIn(given, VISION_WEIGHTS) : undefined;
  const file = vision ?? (await locateCheckpoint(given, { weights }));
  const isForeign = file.toLowerCase().endsWith(".onnx") && !intermediates;
  const source = await (isForeign
    ? loadOnnxModel(file, { inputSize, preprocessing, embedding })
    : loadModel(given, {
        model: options.model,
        inputSize,
        weights,
        preprocessing,
        headless: intermediates || embedding,
      }));
  return classifierOf(source, options);
}

/** Images computed at a time. */
const BATCH = 32;
/** So many are faster as one padded batch of 8 than one by one. */
const SOME = 6;
const READOUT_BATCH = 16;
/** Images decoded at a time: one is prepared while others are still decoded. */
const IN_FLIGHT = 3;

/** A model that is in memory already. */
export function classifierOf(source: LoadedModel | OnnxModel, options: ClassifierOptions = {}): Classifier {
  const { file } = source;
  const isForeign = "onnx" in source;
  const { numClasses, inputSize } = isForeign ? source : source.model.config;
  const classes = options.classes ?? (isForeign ? source.classes : source.metadata.classes);
  const labels = classes ?? Array.from({ length: numClasses }, (_, i) => `class ${i}`);
  const changed = { cropRatio: options.evalCropRatio };
  const preprocessing = completePreprocessing(inputSize, changed, source.preprocessing);
  const { cropRatio, mean, std } = preprocessing;
  const transform = evaluationTransform(preprocessing);
  const preparation = createTransform(transform);
  const random = createRandom(0); // evaluation draws nothing
  const rowBytes = 3 * inputSize[0] * inputSize[1];
  const fixed = isForeign ? source.onnx.input.batch : undefined; // of a file that takes no other batch
  const { program, close } = classifierDevice(source, options);

  /** The program for as many images as are fed. */
  const evaluator = (readout: Readout): Evaluator => ({
    run: async (feeds) => {
      const rows = (feeds["images"]?.length ?? 0) / rowBytes;
      return (await program(readout, rows)).run(feeds);
    },
  });

  const prepare: Classifier["prepare"] = (image, target = new Uint8Array(rowBytes), offset = 0) => {
    const draw = preparation.draw(random, image.width, image.height);
    writePlanar(preparation.apply(image, draw), target, offset);
    return target;
  };

  /** Batches of a list, prepared in this thread. An image that cannot be read ends it. */
  async function* batchesOf(
    images: readonly ImageInput[],
    most: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<BatchRows & Pick<Batch, "images">> {
    for (const { from, rows: batchSize } of partsOf(images.length, fixed ?? most, fixed)) {
      const part = images.slice(from, from + batchSize);
      const pixels = new Uint8Array(batchSize * rowBytes);
      const rows = part.entries();
      const work = async (): Promise<void> => {
        for (const [row, image] of rows) prepare(await readImage(image, { signal }), pixels, row * rowBytes);
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, work));
      const samples = Uint32Array.from({ length: batchSize }, (_, row) => from + row);
      yield { size: part.length, labels: new Int32Array(batchSize).fill(-1), samples, images: pixels };
    }
  }

  async function* pass(
    images: Images,
    readout: Readout,
    { batchSize = READOUT_BATCH, workers, maxBroken, onEvent, signal }: PassOptions = {},
  ): AsyncGenerator<ReadoutBatch> {
    const total = images.length;
    const isDataset = "read" in images;
    const rows = Math.min(batchSize, total);
    const loader = isDataset
      ? createLoader({
          dataset: images,
          transform,
          plan: createPlan({ mode: "evaluation", length: total, batchSize: rows }),
          pool: workerPool(workersFor(images, workers)),
          ...(maxBroken !== undefined && { maxBroken }),
        })
      : undefined;
    const broken = loader?.broken ?? new Map<number, string>();
    try {
      const batches = loader?.epoch(0) ?? batchesOf(isDataset ? [] : images, rows, signal);
      if (isDataset) await program(readout, rows); // loading is not part of the seconds
      const start = performance.now();
      let done = 0;
      for await (const batch of streamOutputs(evaluator(readout), batches)) {
        const { size, samples } = batch;
        const readable = (row: number): boolean => row < size && !broken.has(samples[row] ?? 0);
        yield { ...batch, seconds: (performance.now() - start) / 1000, broken, readable };
        done += size;
        onEvent?.({ type: "evaluate", done, total });
        signal?.throwIfAborted();
      }
      if (loader !== undefined)
        tellWarnings([loader], (message) => onEvent?.({ type: "warning", message }))();
    } finally {
      await loader?.close();
    }
  }

  async function* answers(
    dataset: Dataset,
    { order, relabel, batchSize = BATCH, ...options }: AnswersOptions = {},
  ): AsyncGenerator<DatasetAnswers> {
    for await (const { outputs, ...batch } of pass(dataset, EVALUATION, { ...options, batchSize })) {
      const own = finiteLogits(outputs, file);
      const labels = relabel ? batch.labels.map((label) => relabel[label] ?? -1) : batch.labels;
      yield { ...batch, labels, logits: order ? inOrder(own, { order, numClasses }) : own };
    }
  }

  async function classify(image: ImageInput, options?: ClassifyOptions): Promise<Prediction[]>;
  async function classify(images: readonly ImageInput[], options?: ClassifyOptions): Promise<Prediction[][]>;
  async function classify(
    images: ImageInput | readonly ImageInput[],
    { topk = 5, joint, signal }: ClassifyOptions = {},
  ): Promise<Prediction[] | Prediction[][]> {
    const list = (Array.isArray(images) ? images : [images]) as readonly ImageInput[];
    const found: Prediction[][] = [];
    for await (const { outputs, size } of pass(list, EVALUATION, { batchSize: BATCH, signal })) {
      const logits = finiteLogits(outputs, file);
      for (let row = 0; row < size; row++)
        found.push(topPredictions(mainLogits(logits, { row, numClasses, joint }), { topk, classes: labels }));
    }
    return Array.isArray(images) ? found : (found[0] ?? []);
  }

  return {
    name: isForeign ? source.name : source.model.name,
    file,
    numClasses,
    inputSize,
    classes,
    labels,
    normalisation: { mean, std },
    cropRatio,
    preprocessing,
    transform,
    notes: source.notes,
    batchSize: fixed,
    source,
    classify,
    answers,
    async evaluate(data, { joint, ...options } = {}) {
      const onNote = (message: string): void => options.onEvent?.({ type: "warning", message });
      const model = { numClasses, classes };
      const dataset = "read" in data ? data : await openEvaluation(data, { model, onNote });
      const meter = new EvaluationMeter({ numClasses, ...(joint && { joint }) });
      for await (const batch of answers(dataset, options)) meter.add(batch.logits, batch.labels);
      return meter.result();
    },
    async features(images, options) {
      const rows: Float32Array[] = [];
      const found: number[] = [];
      for await (const { outputs, labels: all, size, readable } of pass(images, FEATURES, options)) {
        const values = floats(outputs, "features");
        const width = values.length / all.length;
        for (let row = 0; row < size; row++) {
          if (!readable(row)) continue;
          rows.push(values.subarray(row * width, (row + 1) * width));
          found.push(all[row] ?? -1);
        }
      }
      const width = rows[0]?.length ?? 0;
      const data = new Float32Array(rows.length * width);
      for (const [i, row] of rows.entries()) data.set(row, i * width);
      return { data, width, labels: Int32Array.from(found) };
    },
    intermediates: pass,
    async logits(pixels, { batchSize } = {}) {
      const n = pixels.length / rowBytes;
      if (!Number.isInteger(n) || n === 0)
        throw new DeitError(`${pixels.length} bytes are not images of ${rowBytes} bytes each`, {
          code: "classifier/pixels",
          hint: `Expected bytes [n, 3, ${inputSize.join(", ")}].`,
        });
      const executable = evaluator(EVALUATION);
      const heads: Record<string, Float32Array> = {};
      for (const { from, rows } of partsOf(n, BATCH, fixed ?? batchSize)) {
        let images = pixels.subarray(from * rowBytes, (from + rows) * rowBytes);
        if (images.length < rows * rowBytes) {
          const padded = new Uint8Array(rows * rowBytes);
          padded.set(images);
          images = padded;
        }
        const { class: own, distillation } = finiteLogits(await executable.run({ images }), file);
        for (const [head, logits] of Object.entries({ class: own, ...(distillation && { distillation }) })) {
          const all = (heads[head] ??= new Float32Array(n * numClasses));
          all.set(logits.subarray(0, Math.min(rows, n - from) * numClasses), from * numClasses);
        }
      }
      return headLogits(heads);
    },
    prepare,
    async load({ batchSize = 1 } = {}) {
      await program(EVALUATION, batchSize);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** n images in parts of few sizes, as each is a program with weights of its own, or all of one size; the last may be padded. */
function* partsOf(
  n: number,
  most: number,
  one: number | undefined,
): Generator<{ readonly from: number; readonly rows: number }> {
  for (let from = 0; from < n;) {
    const left = n - from;
    const rows = one ?? Math.min(most, left >= BATCH ? BATCH : left >= SOME ? 8 : 1);
    yield { from, rows };
    from += rows;
  }
}
