/** Whether a file that prepares images itself (preprocessing-graph.ts) answers whole images as the model does after evaluation's preparation. */
import { InferenceSession, Tensor } from "onnxruntime-node";
import { writePlanar } from "../augmentation/rgb-image.ts";
import { evaluationTransform } from "../augmentation/preprocessing.ts";
import { createTransform } from "../augmentation/transform.ts";
import { DeitError } from "../errors.ts";
import type { LoadedModel } from "../evaluation/checkpoints/load-model.ts";
import { createRandom } from "../random.ts";
import type { Answers, Comparison } from "./check.ts";
import { answersOfModel, compare } from "./check.ts";
import type { Sample } from "./sample.ts";
import { imageOf } from "./sample.ts";

/** Pixels differ by 1 of 255 at most, and so do answers a little: this part of the spread of all logits is much more than that. */
const TOLERANCE = 0.05;

/** Answers to the same images, prepared by evaluation and by the file. */
export interface PreparedAnswers {
  readonly expected: Answers;
  readonly found: Answers;
}

/** `reference`: what the model answers to the sample. */
export async function answersOfPrepared(
  file: string,
  { sample, loaded, reference }: { sample: Sample; loaded: LoadedModel; reference: Answers },
): Promise<PreparedAnswers> {
  const { numClasses } = reference;
  const session = await InferenceSession.create(file, { logSeverityLevel: 3 });
  try {
    const logits = new Float32Array(sample.labels.length * numClasses);
    for (let i = 0; i < sample.labels.length; i++) {
      const { data, width, height } = await imageOf(sample, i);
      const images = new Tensor("uint8", data, [1, height, width, 3]);
      const { logits: own } = await session.run({ images });
      if (!(own?.data instanceof Float32Array))
        throw new DeitError(`${file} returned no logits`, { code: "export/wrong-answers" });
      logits.set(own.data, i * numClasses);
    }
    const expected = sample.dataset
      ? reference
      : await answersOfModel(loaded, await asImages(sample, loaded));
    return { expected, found: { logits, numClasses } };
  } finally {
    await session.release();
  }
}

/** Noise is a sample of prepared pixels: the same pixels as images are prepared first. */
async function asImages(sample: Sample, { preprocessing }: LoadedModel): Promise<Sample> {
  const { size } = sample;
  const transform = createTransform(evaluationTransform(preprocessing));
  const pixels = new Uint8Array(sample.pixels.length);
  for (let i = 0; i < sample.labels.length; i++) {
    const image = await imageOf(sample, i);
    const draw = transform.draw(createRandom(0), image.width, image.height);
    writePlanar(transform.apply(image, draw), pixels, i * 3 * size[0] * size[1]);
  }
  return { ...sample, pixels };
}

/** @throws DeitError when the answers are others */
export function comparePrepared(
  { expected, found }: PreparedAnswers,
  file: { labels: Int32Array } & Pick<Comparison, "file" | "bytes">,
): Comparison {
  const count = expected.logits.length;
  const mean = expected.logits.reduce((sum, logit) => sum + logit, 0) / count;
  const spread = Math.sqrt(expected.logits.reduce((sum, logit) => sum + (logit - mean) ** 2, 0) / count);
  const difference =
    found.logits.reduce((sum, logit, i) => sum + Math.abs(logit - (expected.logits[i] ?? NaN)), 0) / count;
  if (!(difference <= TOLERANCE * spread)) {
    throw new DeitError(
      `${file.file} does not match the original model on whole images: logits differ by ${difference.toPrecision(2)} on average, ` +
        `of a spread of ${spread.toPrecision(2)}; nothing was exported`,
      {
        code: "export/wrong-answers",
        hint: "This is a fault of deit-ts: please report it with the model's name.",
      },
    );
  }
  return compare(expected, found, { ...file, by: "onnxruntime" });
}
