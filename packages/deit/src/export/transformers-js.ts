/**
 * What transformers.js itself makes of an exported folder: the same images through its own reading, preparing and
 * running, offline. The package is optional; without it a folder is checked by ONNX Runtime alone, and that is said.
 */
import { resolve } from "node:path";
import { DeitError } from "../errors.ts";
import type { Answers } from "./check.ts";
import { classesOf } from "./check.ts";
import type { Sample } from "./sample.ts";
import { imageOf } from "./sample.ts";

/** An exported model's file in onnx/, and the dtype with which transformers.js takes it. */
export const PRECISIONS = {
  fp32: { file: "onnx/model.onnx", dtype: "fp32" },
  fp16: { file: "onnx/model_fp16.onnx", dtype: "fp16" },
  int8: { file: "onnx/model_quantized.onnx", dtype: "q8" },
} as const;

export type Precision = keyof typeof PRECISIONS;

type TransformersJs = typeof import("@huggingface/transformers");

/** Undefined when it is not installed. */
export async function loadTransformersJs(): Promise<TransformersJs | undefined> {
  try {
    return await import("@huggingface/transformers");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}

/**
 * Logits of `pipeline("image-classification", folder)` for the images of a sample.
 * @throws DeitError when it does not load, or its pipeline says something else than its model
 */
export async function answersOfPipeline(
  { pipeline, env, RawImage }: TransformersJs,
  folder: string,
  { sample, precision, classes }: { sample: Sample; precision: Precision; classes: readonly string[] },
): Promise<Answers> {
  const online = env.allowRemoteModels;
  env.allowRemoteModels = false;
  try {
    const { dtype } = PRECISIONS[precision];
    const classifier = await pipeline("image-classification", resolve(folder), { dtype, device: "cpu" });
    const numClasses = classes.length;
    const logits = new Float32Array(sample.labels.length * numClasses);
    for (let i = 0; i < sample.labels.length; i++) {
      const { data, width, height } = await imageOf(sample, i);
      const image = new RawImage(data, width, height, 3);
      const inputs: unknown = await classifier.processor?.(image);
      const outputs: unknown = await classifier.model(inputs);
      logits.set(floatsOf(outputs), i * numClasses);
      if (i > 0) continue;
      const said = firstLabel(await classifier(image));
      const expected = classes[classesOf({ logits: logits.subarray(0, numClasses), numClasses })[0] ?? 0];
      if (said !== expected)
        throw new DeitError(
          `the pipeline predicts ${JSON.stringify(said)}, its model ${JSON.stringify(expected)}`,
          { code: "export/wrong-answers" },
        );
    }
    await classifier.dispose();
    return { logits, numClasses };
  } catch (cause) {
    if (cause instanceof DeitError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DeitError(`transformers.js does not load ${folder}: ${reason}`, {
      code: "export/wrong-answers",
      cause,
    });
  } finally {
    env.allowRemoteModels = online;
  }
}

function floatsOf(outputs: unknown): Float32Array {
  const logits = typeof outputs === "object" && outputs !== null && "logits" in outputs ? outputs.logits : {};
  const data = typeof logits === "object" && logits !== null && "data" in logits ? logits.data : undefined;
  if (data instanceof Float32Array) return data;
  throw new DeitError("the model returned no logits", { code: "export/wrong-answers" });
}

function firstLabel(answers: unknown): unknown {
  const first: unknown = Array.isArray(answers) ? answers[0] : undefined;
  return typeof first === "object" && first !== null && "label" in first ? first.label : undefined;
}
