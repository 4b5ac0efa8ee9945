/**
 * ONNX Runtime sessions: their options, their tensors, and its errors in our words. Shared by the engines, which
 * differ in where state lives. Independent of Node: the same API is that of onnxruntime-web.
 */

import type { InferenceSession, Tensor } from "onnxruntime-node";
import { DeviceError } from "../errors.ts";
import type { DType, Program, TensorType } from "../graph/program.ts";
import type { CpuMonitor } from "./contention.ts";
import type { SessionSettings } from "./messages.ts";
import type { TensorData } from "./runtime.ts";

/** The part of onnxruntime-node (or -web) that runtimes use. */
export type OnnxRuntime = Pick<typeof import("onnxruntime-node"), "InferenceSession" | "Tensor" | "env">;

/** What only the surroundings of an engine can do. */
export interface Surroundings {
  readonly ort: OnnxRuntime;
  /** Which nodes would not run on the device; undefined when that cannot be found out. */
  unsupportedNodes?(model: Uint8Array, device: "webgpu" | "cuda"): Promise<readonly string[] | undefined>;
  /** Tells the user something that is not an error. */
  warn?(message: string): void;
  /** Whether ONNX Runtime has convolutions over blocks of channels for this kind of processor. */
  readonly blocks?: boolean;
  /** Sessions that know our own operations, on the CPU, where they can be had. */
  readonly native?: NativeSessions | undefined;
  /** CPU time of all programs and of this one; where it cannot be read, threads always spin. */
  readonly cpu?: CpuMonitor;
  /** The newest file that the profiler wrote for this prefix. */
  profileFile?(prefix: string): string | undefined;
}

/** A tensor of a session of ours; `type`: the number that ONNX has for it. */
export interface NativeTensor {
  readonly name: string;
  readonly type: number;
  readonly dims: readonly number[];
}

export interface NativeSession {
  /** Inputs and outputs in their order; blocks, and writes the results into `outputs`. */
  run(inputs: readonly TensorData[], outputs: readonly TensorData[]): void;
  /** Returns the profiler's file. */
  endProfiling(): string;
  release(): void;
}

/** Makes sessions that know our own operations (native.ts). */
export interface NativeSessions {
  create(
    model: Uint8Array,
    options: {
      readonly threads: number;
      /** Settings as ONNX Runtime names them: [key, value, …]. */
      readonly config: readonly string[];
      /** Prefix of a profile. */
      readonly profile: string | undefined;
      readonly inputs: readonly NativeTensor[];
      readonly outputs: readonly NativeTensor[];
    },
  ): NativeSession;
}

const FATAL = 4; // ONNX Runtime also logs what it throws; the error is enough

/**
 * A sum that only a normalisation reads would be fused with it, and rounded otherwise: a block that is computed again would
 * not give what it gave before.
 */
const UNLIKE_WHEN_ALONE = "SkipLayerNormFusion";

/** Options of every session; `deviceOutputs` names the outputs that stay on the device. */
export function sessionOptions(
  { device, threads, profile }: SessionSettings,
  {
    name,
    deviceOutputs = [],
    outputs = [],
    training = false,
    fallback = false,
    spinning = true,
  }: {
    name: string;
    deviceOutputs?: readonly string[];
    outputs?: readonly string[];
    /** Whether the program updates state. */
    training?: boolean;
    /** Whether nodes that have no kernel on the device may run on the CPU. */
    fallback?: boolean;
    /** Whether a thread that waits for others spins, which is fastest where no other program needs its core. */
    spinning?: boolean;
  },
): InferenceSession.SessionOptions {
  return {
    // In its own layout (NHWC) it would wrap convolutions in transposes and move these about with nodes that it lacks.
    executionProviders: device === "webgpu" ? [{ name: device, preferredLayout: "NCHW" }] : [device],
    // With no CPU nodes allowed, more threads would only spin.
    intraOpNumThreads: device === "webgpu" ? 1 : threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    enableCpuMemArena: true,
    enableMemPattern: false,
    logSeverityLevel: FATAL,
    extra: {
      ...(training && { optimization: { disable_specified_optimizers: UNLIKE_WHEN_ALONE } }),
      session: {
        ...(device !== "cpu" && !fallback && { disable_cpu_ep_fallback: "1" }),
        // Every session has threads of its own; spinning on after a run, they would slow the next session's.
        ...(device !== "webgpu" && { force_spinning_stop: "1", set_denormal_as_zero: "1" }),
        ...(!spinning && { intra_op: { allow_spinning: "0" } }),
      },
    },
    ...(deviceOutputs.length === 0
      ? {}
      : {
          preferredOutputLocation: Object.fromEntries(
            outputs.map((output) => [output, deviceOutputs.includes(output) ? "gpu-buffer" : "cpu"] as const),
          ),
        }),
    ...(profile === undefined
      ? {}
      : { enableProfiling: true, profileFilePrefix: profilePrefix(profile, name) }),
  };
}

/** The settings among a session's options as ONNX Runtime's own interface takes them: [key, value, …]. */
export function configEntries({ extra }: InferenceSession.SessionOptions): string[] {
  const flat = (value: unknown, key: string): string[] =>
    typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([name, inner]) => flat(inner, key === "" ? name : `${key}.${name}`))
      : [key, String(value)];
  return flat(extra ?? {}, "");
}

/** Types of tensors as ONNX numbers them. */
export const tensorNumber: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
};

/** Prefix of one program's profile. */
export function profilePrefix(profile: string, program: string): string {
  return `${profile}-${program.replaceAll(/[^\w.-]+/g, "-")}`;
}

/** A tensor over host memory. */
export function hostTensor(ort: OnnxRuntime, { dtype, shape }: TensorType, data: TensorData): Tensor {
  return new ort.Tensor(dtype, data, shape);
}

/** The host contents of an output. */
export function hostData(tensor: Tensor): TensorData {
  const { data } = tensor;
  if (tensor.type === "float16" && ArrayBuffer.isView(data)) {
    return new Uint16Array(data.buffer, data.byteOffset, tensor.size);
  }
  if (
    data instanceof Float32Array ||
    data instanceof Int32Array ||
    data instanceof BigInt64Array ||
    data instanceof Uint8Array ||
    data instanceof Uint16Array
  ) {
    return data;
  }
  throw new TypeError(`an output is ${tensor.type}, which no program should return`);
}

/**
 * What ONNX Runtime, its arena, Dawn, Vulkan and CUDA's libraries say when memory or the size of a buffer is not enough: an
 * invalid buffer is one that could not be made, a narrowing error a size that WebGPU cannot count.
 */
const OUT_OF_MEMORY =
  /bad_alloc|allocate memory|out of memory|OutOfMemory|OUT_OF_(?:DEVICE|HOST|POOL)_MEMORY|(?:CUBLAS|CUDNN)_STATUS_ALLOC_FAILED|AllocateRaw|Failed to create GPU buffer|(?:exceed|larger than|limit).*buffer|buffer.*(?:exceed|too large|larger than|limit)|\[Invalid Buffer|narrowing_error/is;

/** What Dawn and Vulkan say of a device that is gone, and its memory with it. */
const LOST = /device\S* (?:was |is )?lost|ERROR_DEVICE_LOST/i;

const HINTS = {
  memory: "The memory of the device is used up: take a smaller batch size, resolution or model.",
  lost: "The device was lost, and what was on it: its driver was reset (by a driver's fault, a suspended machine or work that took too long), or its memory was used up. Start again: a run resumes from its last save. If it happens again, take a smaller batch size.",
} as const;

const CODES = { memory: "device/out-of-memory", lost: "device/lost" } as const;

/** ONNX Runtime's complaint as a DeviceError that names the program and, when known, the node. */
export function sessionError(
  device: string,
  program: Program,
  doing: "load" | "run" | "read",
  cause: unknown,
): DeviceError {
  const raw = (cause instanceof Error ? cause.message : String(cause)).trim();
  const [, op, node] = /running (\w+) node\. Name:'([^']*)'/.exec(raw) ?? [];
  // The status message is what a reader can use; before it come file names and signatures of ONNX Runtime's source.
  const status = raw
    .replace(/^.*?Status Message: /s, "")
    .replace(/^\S*\.(?:cc|h|cpp):\d+ (?:[^\n]*? was false\. |[^\n()]*\([^\n()]*\) )?/, "");
  const where = op === undefined ? "" : ` at node "${node}" (${op})`;
  const hint = LOST.test(raw) ? "lost" : OUT_OF_MEMORY.test(raw) ? "memory" : undefined;
  const verb = { load: "cannot be loaded", run: "failed", read: "ran, and its results cannot be read" }[
    doing
  ];
  return new DeviceError(device, `program "${program.name}" ${verb} on ${device}${where}: ${status}`, {
    code: hint === undefined ? "device/program-failed" : CODES[hint],
    cause,
    // Results are read after the state has changed, where there is any.
    outOfMemory: hint === "memory" && (doing !== "read" || !updatesState(program)),
    ...(hint && { hint: HINTS[hint] }),
  });
}

function updatesState({ state }: Program): boolean {
  return Object.values(state).some((output) => output !== null);
}

/** The nodes of a program that would not run on its device, for a sentence. */
export async function unsupported(
  { unsupportedNodes }: Surroundings,
  device: "webgpu" | "cuda",
  { model }: Program,
): Promise<string> {
  const nodes = (await unsupportedNodes?.(model, device)) ?? [];
  return nodes.length === 0 ? "some of its nodes" : nodes.slice(0, 8).join(", ");
}

/** Whether a load failed because nodes would have run on the CPU. */
export function isFallback(cause: unknown): boolean {
  return cause instanceof Error && cause.message.includes("fallback to CPU EP has been explicitly disabled");
}
