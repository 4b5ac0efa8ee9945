/**
 * Anything that classifies images (a registered model with random weights, a checkpoint, an ONNX file) made ready to run:
 * a folder with the bytes of its program and what must be known to feed it. One process makes it, another loads it and
 * answers: only so is that one's memory the model's, and not what making the program took.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openClassifier } from "deit-ts";
import type { Runtime } from "deit-ts";
import type { Program, ProgramFacts } from "deit-ts/graph";
import { createModel, deployedProgram } from "deit-ts/models";
import { describeWriteFailure, letGo, loadOnnxAnswers } from "deit-ts/studies";
import type { OnnxModel } from "deit-ts/studies";
import { randomWeights } from "./workload.ts";

/** What is made ready, as JSON. */
export interface ReadyOptions {
  /** A registered name, or a checkpoint. */
  readonly given: string;
  readonly registered: boolean;
  /** Name of the model, for checkpoints that do not say what they are. */
  readonly model?: string;
  readonly inputSize: readonly [number, number];
  readonly batchSize: number;
}

/** A program of ours, or where images go into a foreign model and logits come out. */
type Facts = { readonly program: ProgramFacts } | { readonly onnx: Omit<OnnxModel["onnx"], "model"> };
type Ready = Facts & { readonly model: Uint8Array };

const BYTES = "model.onnx";
const FACTS = "facts.json";

/** Writes into a folder that is there. */
export async function writeReady(
  folder: string,
  options: ReadyOptions,
  target: Runtime["target"],
): Promise<void> {
  const { model, ...facts } = await makeReady(options, target);
  const path = join(folder, BYTES);
  await writeFile(path, model).catch(async (error: unknown) => {
    throw await describeWriteFailure(error, { path, what: "a program to be timed", needed: model.length });
  });
  await writeFile(join(folder, FACTS), JSON.stringify(facts));
}

async function makeReady(
  { given, registered, model: name, inputSize, batchSize }: ReadyOptions,
  target: Runtime["target"],
): Promise<Ready> {
  if (registered) {
    const model = createModel(given, { inputSize });
    return split(deployedProgram(model, randomWeights(model), { batchSize, target }));
  }
  const { source } = await openClassifier(given, { model: name, inputSize });
  if (!("onnx" in source)) return split(deployedProgram(source.model, source.tensors, { batchSize, target }));
  const { model, ...onnx } = source.onnx;
  return { model, onnx };
}

function split({ model, ...program }: Program): Ready {
  return { model, program };
}

/** Puts what `writeReady` wrote on a device: normalised images [B, 3, H, W] in. */
export async function loadReady(
  runtime: Runtime,
  folder: string,
  { inputSize, batchSize }: Pick<ReadyOptions, "inputSize" | "batchSize">,
): Promise<(pixels: Float32Array) => Promise<unknown>> {
  const facts = JSON.parse(await readFile(join(folder, FACTS), "utf8")) as Facts; // writeReady's
  const { buffer, byteOffset, byteLength } = await readFile(join(folder, BYTES));
  const model = new Uint8Array(buffer, byteOffset, byteLength); // no Buffer, whose slice() shares its memory
  if ("onnx" in facts) {
    const onnx = { ...facts.onnx, model };
    const answers = await loadOnnxAnswers(runtime, { file: onnx.file, inputSize, onnx }, { batchSize });
    letGo(model);
    return answers;
  }
  const executable = await runtime.load({ ...facts.program, model });
  letGo(model);
  return async (pixels) => executable.run({ pixel_values: pixels });
}
