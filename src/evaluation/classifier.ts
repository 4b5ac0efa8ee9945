/** A classifier from what people name: a checkpoint of ours, a run folder, or an ONNX file of any maker. */
import type { Normalisation } from "../augmentation/normalisation.ts";
import { input } from "../graph/graph.ts";
import { cast } from "../graph/ops.ts";
import { compile } from "../graph/program.ts";
import { packTensors } from "../nn/layout.ts";
import { modelLayout } from "../optim/groups.ts";
import type { Executable, Runtime } from "../runtime/runtime.ts";
import type { LoadedModel, LoadModelOptions } from "./load-model.ts";
import { loadModel } from "./load-model.ts";
import { locateCheckpoint } from "./locate-checkpoint.ts";
import type { OnnxModel } from "./onnx-model.ts";
import { loadOnnxAnswers, loadOnnxModel } from "./onnx-model.ts";
import { evaluationProgram, normalise } from "./program.ts";

export interface Classifier {
  /** Registered name, or the name of an ONNX file. */
  readonly name: string;
  readonly file: string;
  readonly numClasses: number;
  /** [height, width]. */
  readonly inputSize: readonly [number, number];
  /** Display names by index; undefined where the file has none. */
  readonly classes: readonly string[] | undefined;
  readonly normalisation: Normalisation;
  /** Part of the resized picture that evaluation looks at. */
  readonly cropRatio: number;
  /** What the user should know of it, a sentence each. */
  readonly notes: readonly string[];
  /** Ours, with its weights, or a foreign file. */
  readonly source: LoadedModel | OnnxModel;
}

/** @throws DataError, FormatError, ConfigError, CheckpointError saying what does not fit */
export async function loadClassifier(path: string, options: LoadModelOptions = {}): Promise<Classifier> {
  const file = await locateCheckpoint(path, { weights: options.weights });
  if (file.toLowerCase().endsWith(".onnx")) {
    const source = await loadOnnxModel(file, { inputSize: options.inputSize });
    const { name, numClasses, inputSize, classes, normalisation, cropRatio } = source;
    return { name, file, numClasses, inputSize, classes, normalisation, cropRatio, notes: [], source };
  }
  return classifierOf(await loadModel(path, options));
}

/** A model of ours as a classifier. */
export function classifierOf(source: LoadedModel): Classifier {
  const { model, metadata, file, normalisation, cropRatio, notes } = source;
  const { numClasses, inputSize } = model.config;
  const { classes } = metadata;
  return { name: model.name, file, numClasses, inputSize, classes, normalisation, cropRatio, notes, source };
}

/** Pictures [B, 3, H, W] of 0 to 255 in, the logits of every head out, as an evaluation program's. */
export type Evaluator = Pick<Executable, "run">;

/** Puts a classifier on a device. */
export async function loadEvaluator(
  runtime: Runtime,
  { source, normalisation, name, inputSize }: Classifier,
  { batchSize }: { batchSize: number },
): Promise<Evaluator> {
  const { target } = runtime;
  if ("onnx" in source) {
    const images = cast(input("images", "uint8", [batchSize, 3, ...inputSize]), "float32");
    const prepare = await runtime.load(
      compile({
        name: `${name}.pixels`,
        target,
        outputs: { pixels: normalise(images, normalisation) },
      }),
    );
    const answers = await loadOnnxAnswers(runtime, source, { batchSize });
    return {
      run: async (feeds) => {
        const { pixels } = await prepare.run(feeds);
        return { class: await answers(pixels as Float32Array) };
      },
    };
  }
  const { model, tensors } = source;
  const layout = modelLayout(model);
  for (const [vector, data] of Object.entries(packTensors(layout, tensors)))
    await runtime.setState(`W.${vector}`, data);
  return runtime.load(evaluationProgram({ model, layout, batchSize, target, normalisation }));
}
