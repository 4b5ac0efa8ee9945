/** What a model sees in single pictures. */
import { writePlanar } from "../augmentation/picture.ts";
import { createTransform } from "../augmentation/transform.ts";
import { readPicture } from "../data/decode.ts";
import { createRandom } from "../random.ts";
import { createRuntime } from "../runtime/node.ts";
import type { DeviceName } from "../runtime/runtime.ts";
import { loadClassifier, loadEvaluator } from "./classifier.ts";
import type { JointRule, Prediction } from "./metrics.ts";
import { jointLogits, topPredictions } from "./metrics.ts";
import { headLogits } from "./program.ts";

export interface PredictOptions {
  /** A .safetensors or .onnx file, or a run folder. */
  readonly checkpoint: string;
  readonly model?: string;
  /** [height, width] or a side, when it is not the checkpoint's own. */
  readonly inputSize?: number | readonly [number, number];
  readonly images: readonly string[];
  readonly topk?: number;
  /** Names by index, for checkpoints that do not hold them. */
  readonly classes?: readonly string[];
  readonly evalCropRatio?: number;
  readonly joint?: JointRule;
  readonly device?: DeviceName | "auto";
  readonly threads?: number | null;
}

/** What `deit predict --json` prints, one for each picture. Other tools read it: add keys, never rename these. */
export interface PicturePredictions {
  readonly image: string;
  /** Best first; the scores of all classes add up to 1. */
  readonly predictions: readonly Prediction[];
}

/** Classifies picture files. @throws DataError naming the first file that is no picture */
export async function predict({
  checkpoint,
  model: name,
  inputSize,
  images,
  topk = 5,
  classes: names,
  evalCropRatio,
  joint = "logits",
  device = "auto",
  threads,
}: PredictOptions): Promise<PicturePredictions[]> {
  const classifier = await loadClassifier(checkpoint, { model: name, inputSize });
  const { inputSize: size, numClasses, cropRatio } = classifier;
  const transform = createTransform({ mode: "evaluation", size, cropRatio: evalCropRatio ?? cropRatio });
  const classes = names ?? classifier.classes ?? Array.from({ length: numClasses }, (_, i) => `class ${i}`);
  const runtime = await createRuntime({ device, ...(threads && { threads }) });
  try {
    const executable = await loadEvaluator(runtime, classifier, { batchSize: 1 });
    const results: PicturePredictions[] = [];
    for (const image of images) {
      const picture = await readPicture(image);
      const draw = transform.draw(createRandom(0), picture.width, picture.height);
      const pixels = new Uint8Array(3 * size[0] * size[1]);
      writePlanar(transform.apply(picture, draw), pixels);
      const logits = headLogits(await executable.run({ images: pixels }));
      const answers = logits.distillation
        ? jointLogits(logits.class, logits.distillation, joint)
        : logits.class;
      results.push({ image, predictions: topPredictions(answers, { topk, classes }) });
    }
    return results;
  } finally {
    await runtime.close();
  }
}
