/**
 * Where a classifier computes: a device of its own, opened when first needed, or one that was given; and there a program for
 * each readout and size of batch, with the weights inside.
 */
import { ConfigError, DeitError } from "../errors.ts";
import { input } from "../graph/graph.ts";
import { cast } from "../graph/ops.ts";
import type { Program } from "../graph/program.ts";
import { compile } from "../graph/program.ts";
import type { Vectors } from "../nn/parameters.ts";
import { modelLayout, packTensors } from "../nn/parameters.ts";
import { createRuntime } from "../runtime/node.ts";
import type { DeviceName, Executable, LoadOptions, Runtime, TensorData } from "../runtime/runtime.ts";
import { frozenProgram } from "./frozen-program.ts";
import type { Readout } from "./intermediates.ts";
import { FEATURES, readoutProgram, unboundProgram } from "./intermediates.ts";
import type { LoadedModel } from "./checkpoints/load-model.ts";
import type { Evaluator } from "./logits.ts";
import type { OnnxModel } from "./onnx/third-party-model.ts";
import { loadOnnxAnswers } from "./onnx/third-party-model.ts";
import { EVALUATION } from "./evaluation-program.ts";
import { normalise } from "./program-input.ts";

export interface DeviceOptions {
  readonly device?: DeviceName | "auto" | undefined;
  /** CPU threads of one operation; default: all that this process may use. */
  readonly threads?: number | null | undefined;
  /** A device that is open already, shared with others; it is not closed with the classifier. */
  readonly runtime?: Runtime | undefined;
}

export interface ClassifierDevice {
  /** A program that reads that of batches of that size, made once. @throws DeitError after `close` */
  program(readout: Readout, batchSize: number): Promise<Evaluator>;
  close(): Promise<void>;
}

/** Bytes of weights that a program may hold; protocol buffers, and so programs, end at 2 GiB. */
const LARGEST_INSIDE = 2 ** 30;

/** Classifiers of one runtime keep their weights under names of their own. */
let shared = 0;

export function classifierDevice(
  source: LoadedModel | OnnxModel,
  { device = "auto", threads, runtime: given }: DeviceOptions,
  { largestInside = LARGEST_INSIDE }: { largestInside?: number } = {},
): ClassifierDevice {
  const slot = given === undefined ? "W" : `W${++shared}`;
  const programs = new Map<Readout, Map<number, Promise<Evaluator>>>();
  const onClose: (() => Promise<unknown>)[] = [];
  let runtime = given && Promise.resolve(given);
  let state: Promise<void> | undefined;
  let isClosed = false;

  const load = async (on: Runtime, program: Program, options?: LoadOptions): Promise<Executable> => {
    const executable = await on.load(program, options);
    onClose.unshift(async () => executable.release());
    return executable;
  };

  async function make(readout: Readout, batchSize: number): Promise<Evaluator> {
    runtime ??= createRuntime({ device, ...(threads && { threads }) });
    const on = await runtime;
    if ("onnx" in source) {
      const own: Runtime = { ...on, load: async (program) => load(on, program) };
      return loadForeign(own, source, { readout, batchSize });
    }
    const { model, tensors, preprocessing: normalisation } = source;
    const options = { model, batchSize, target: on.target, normalisation };
    const bytes = [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
    if (bytes >= largestInside) {
      const layout = modelLayout(model);
      state ??= setState(on, packTensors(layout, tensors));
      await state;
      return load(on, readoutProgram({ ...options, layout }, readout, { slot }));
    }
    const program = frozenProgram(unboundProgram(options, readout), tensors);
    return load(on, program, { transfer: true });
  }

  /** Weights beside the programs, once for all. */
  async function setState(on: Runtime, weights: Vectors): Promise<void> {
    for (const [vector, data] of Object.entries(weights)) {
      const name = `${slot}.${vector}`;
      await on.setState(name, data);
      onClose.push(async () => on.deleteState(name));
    }
  }

  return {
    async program(readout, batchSize) {
      if (isClosed)
        throw new DeitError(`${source.file} is closed and cannot be used`, {
          code: "classifier/closed",
          hint: "Open it again.",
        });
      const sizes = programs.get(readout) ?? new Map<number, Promise<Evaluator>>();
      programs.set(readout, sizes);
      const made = sizes.get(batchSize) ?? make(readout, batchSize);
      sizes.set(batchSize, made);
      made.catch(() => sizes.delete(batchSize)); // the next question tries again
      return made;
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      const open = await runtime?.catch(() => undefined);
      if (given === undefined) await open?.close();
      else for (const free of onClose) await free();
      programs.clear();
    },
  };
}

/** A foreign file on a device: bytes are normalised by a program of ours before it. */
async function loadForeign(
  runtime: Runtime,
  source: OnnxModel,
  { readout, batchSize }: { readout: Readout; batchSize: number },
): Promise<Evaluator> {
  const { name, file, inputSize, preprocessing, embedding } = source;
  if (readout !== (embedding ? FEATURES : EVALUATION))
    throw new ConfigError(
      "checkpoint",
      `${file} is a third-party ONNX file: it returns only ${embedding ? "embeddings" : "logits"}`,
      {
        code: "classifier/no-intermediates",
        hint: "Open it with { intermediates: true }, which reads its weights, or give the checkpoint that it was made of.",
      },
    );
  const images = cast(input("images", "uint8", [batchSize, 3, ...inputSize]), "float32");
  const outputs = { pixels: normalise(images, preprocessing) };
  const preparation = await runtime.load(
    compile({ name: `${name}.pixels`, target: runtime.target, outputs }),
  );
  const answers = await loadOnnxAnswers(runtime, source, { batchSize });
  return {
    run: async (feeds) => ({
      [embedding ? "features" : "class"]: await answers(floats(await preparation.run(feeds), "pixels")),
    }),
  };
}

/** @throws TypeError for an output that is not a float32 tensor */
export function floats(outputs: Readonly<Record<string, TensorData>>, name: string): Float32Array {
  const data = outputs[name];
  if (data instanceof Float32Array) return data;
  throw new TypeError(`a program returned no float32 ${name}`);
}
