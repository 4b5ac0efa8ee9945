/**
 * Timed forward passes of anything that classifies pictures (a registered model with random weights, a checkpoint, an
 * ONNX file), and the memory they take. For a process of its own: memory is that of the process.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { loadClassifier } from "../evaluation/classifier.ts";
import { loadOnnxAnswers } from "../evaluation/onnx-model.ts";
import { deployedProgram } from "../models/deploy.ts";
import type { Model } from "../models/registry.ts";
import { createModel } from "../models/registry.ts";
import type { Tensors } from "../nn/layout.ts";
import { createRuntime } from "../runtime/node.ts";
import type { DeviceName, Runtime } from "../runtime/runtime.ts";
import { randomPixels, randomWeights } from "./workload.ts";

/** What is timed, as JSON. */
export interface ForwardJob {
  /** A registered name, or a checkpoint. */
  readonly given: string;
  readonly registered: boolean;
  /** Name of the model, for checkpoints that do not say what they are. */
  readonly model?: string;
  readonly inputSize: readonly [number, number];
  readonly batchSize: number;
  readonly device: DeviceName | "auto";
  readonly threads: number | null;
  /** Runs that are not timed after the first; at least one. */
  readonly warmUp: number;
  readonly runs: number;
}

export interface ForwardTimes {
  /** Of each timed run: from the end of the one before to its own. */
  readonly seconds: readonly number[];
  /** Largest resident set of the process while it answers; the making of the program is left out where the system allows that. */
  readonly memoryMiB: number;
  readonly device: string;
  readonly threads: number;
}

/** Loads, warms up, times. */
export async function timeForward(job: ForwardJob): Promise<ForwardTimes> {
  const { device, threads, warmUp, runs } = job;
  const runtime = await createRuntime({ device, ...(threads !== null && { threads }) });
  try {
    const answer = await loadAnswer(runtime, job);
    const pixels = randomPixels(job.batchSize, job.inputSize);
    await answer(pixels);
    forgetPeak();
    const ends: number[] = [];
    const total = Math.max(1, warmUp) + runs;
    // Handed over ahead of its turn, as in evaluation: the device does not wait for copies.
    let next = answer(pixels);
    for (let run = 0; run < total; run++) {
      const current = next;
      if (run + 1 < total) next = answer(pixels);
      await current;
      ends.push(performance.now());
    }
    const timed = ends.slice(-runs - 1);
    return {
      seconds: timed.slice(1).map((end, i) => (end - (timed[i] ?? end)) / 1000),
      memoryMiB: peakMiB(),
      device: runtime.device,
      threads: runtime.threads,
    };
  } finally {
    await runtime.close();
  }
}

async function loadAnswer(
  runtime: Runtime,
  { given, registered, model: name, inputSize, batchSize }: ForwardJob,
): Promise<(pixels: Float32Array) => Promise<unknown>> {
  if (registered) {
    const model = createModel(given, { inputSize });
    return deployed(runtime, { model, weights: randomWeights(model), batchSize });
  }
  const { source } = await loadClassifier(given, { model: name, inputSize });
  if ("onnx" in source) return loadOnnxAnswers(runtime, source, { batchSize });
  return deployed(runtime, { model: source.model, weights: source.tensors, batchSize });
}

async function deployed(
  runtime: Runtime,
  { model, weights, batchSize }: { model: Model; weights: Tensors; batchSize: number },
): Promise<(pixels: Float32Array) => Promise<unknown>> {
  const program = deployedProgram(model, weights, { batchSize, target: runtime.target });
  const executable = await runtime.load(program);
  return async (pixels) => executable.run({ pixel_values: pixels });
}

/** Lets go of what loading took, and starts the count of the resident set's peak again. */
function forgetPeak(): void {
  globalThis.gc?.();
  try {
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // No Linux, or not allowed: the peak of loading counts, too.
  }
}

function peakMiB(): number {
  try {
    const kib = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    if (kib !== undefined) return Number(kib) / 1024;
  } catch {
    // No Linux.
  }
  return process.resourceUsage().maxRSS / 1024;
}
