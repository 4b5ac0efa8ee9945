/** Memory of a run: what a step will want, whether it is there, and what to change when it was not. */
import { DeviceError } from "../errors.ts";
import type { Layout } from "../nn/parameters.ts";
import { trainedVectors } from "../nn/parameters.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Executables } from "./loop/load-programs.ts";
import { trainingState } from "./loop/training-programs.ts";

/** Bytes, estimated. */
export interface MemoryPlan {
  /** Weights, moments, averages, each with room for its next value; accumulated gradients. */
  readonly state: number;
  /** What lies between the first and the last operation of a batch, gradients included. */
  readonly batch: number;
}

/** What decides how much a step takes. */
export interface SizeSettings {
  readonly batchSize: number;
  readonly accumulationSteps: number;
  readonly recompute: boolean;
  readonly precision: "float32" | "float16" | "auto";
}

export function planMemory(
  { batch, apply, evaluate }: Pick<Executables, "batch" | "apply" | "evaluate">,
  { layout, optimizer }: { layout: Layout; optimizer: Optimizer },
): MemoryPlan {
  const gradients = apply === undefined ? [] : trainedVectors(layout);
  const vectors = [...trainingState(layout, optimizer), ...gradients];
  const floats = vectors.reduce((total, { length }) => total + length, 0);
  const working = [batch, apply, evaluate].map((executable) => executable?.program.workingBytes ?? 0);
  return { state: 2 * 4 * floats, batch: Math.max(...working) };
}

/** A warning when a plan does not fit into what is free; undefined when it does. */
export function memoryWarning(
  { state, batch }: MemoryPlan,
  { available, sizes }: { available: number; sizes: SizeSettings },
): string | undefined {
  const needed = state + batch;
  if (needed <= available) return undefined;
  return `a step needs about ${gibibytes(needed)} of memory, and ${gibibytes(available)} are free. ${memoryAdvice(sizes)}`;
}

/** What would make a step smaller, the cheapest first. */
export function memoryAdvice({ batchSize, accumulationSteps, recompute, precision }: SizeSettings): string {
  const half = Math.ceil(batchSize / 2);
  const changes = [
    ...(recompute ? [] : ["--recompute (the same numbers)"]),
    ...(batchSize > 1
      ? [`--batch-size ${half} --accumulation-steps ${2 * accumulationSteps} (as many images an update)`]
      : []),
    ...(precision === "float32" ? ["--precision float16 on a graphics card"] : []),
    "a smaller --input-size or --model",
  ];
  return `To need less: ${changes.join("; ")}.`;
}

/** The same error with advice in the words of a run's options, when it is one of memory. `saved`: in the midst of a run. */
export function withMemoryAdvice(
  error: unknown,
  sizes: SizeSettings,
  { saved = false }: { saved?: boolean } = {},
): unknown {
  if (!(error instanceof DeviceError) || !error.outOfMemory) return error;
  const message = error.hint === undefined ? error.message : error.message.slice(0, -error.hint.length - 1);
  return new DeviceError(
    error.device,
    `the memory of ${error.device} is not enough for a batch of ${sizes.batchSize}: ${message}`,
    {
      code: "device/out-of-memory",
      hint: `${memoryAdvice(sizes)}${saved ? " The saved state is kept: add --recompute or --precision to the same command to resume with less." : ""}`,
      cause: error,
      outOfMemory: true,
    },
  );
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toPrecision(2)} GiB`;
}
