/** ONNX files of classifiers, written for tests. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import type { OnnxClassifier } from "../../../src/evaluation/onnx/onnx-classifier.ts";
import { readOnnxClassifier } from "../../../src/evaluation/onnx/onnx-classifier.ts";
import { temporaryFolder } from "../../data/temporary.ts";
import { graphFile } from "../../helpers/onnx-graph.ts";
import type { OnnxFile } from "../../helpers/onnx-file.ts";
import { FLOAT32, onnxFile } from "../../helpers/onnx-file.ts";

/** Writes a model into a folder of its own, with what lies around it: path from the model's folder → JSON or text. */
export async function write(
  bytes: Uint8Array | string,
  { folder = "", beside = {} }: { folder?: string; beside?: Readonly<Record<string, unknown>> } = {},
): Promise<string> {
  const file = join(await temporaryFolder(), folder, "model.onnx");
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, bytes);
  for (const [path, value] of Object.entries(beside))
    await writeFile(join(dirname(file), path), typeof value === "string" ? value : JSON.stringify(value));
  return file;
}

export const IMAGES: OnnxFile["inputs"] = { pixel_values: [FLOAT32, ["batch", 3, 32, 32]] };
export const LOGITS: OnnxFile["outputs"] = { logits: [FLOAT32, ["batch", 3]] };
export const plain = onnxFile({ inputs: IMAGES, outputs: LOGITS });

export async function read(
  model: Partial<OnnxFile>,
  around?: Parameters<typeof write>[1],
): Promise<OnnxClassifier> {
  const bytes = onnxFile({ inputs: IMAGES, outputs: LOGITS, ...model });
  return readOnnxClassifier(await write(bytes, around));
}

/** The error of a promise that must fail. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable("no error"),
    (error: unknown) => error,
  );
}

export const MATRIX = [
  [1, 2, -1],
  [0, 1, 1],
  [2, 0, 1],
];
export const real = graphFile({ matrix: MATRIX });
