/**
 * What it means to run a program: the types that training, evaluation and tools are written against. A runtime
 * owns one device, its sessions and the named state vectors that live beside them (parameters, moments, …).
 * Free of `node:` imports; `node.ts` makes a runtime for Node.
 */

import type { Program, ProgramFacts, Target } from "../graph/program.ts";

/** Devices that a program can run on. */
export const devices = ["cpu", "webgpu", "cuda"] as const;
export type DeviceName = (typeof devices)[number];

/** Tensor contents on the host, row-major. bool travels as Uint8Array, float16 as its bits in a Uint16Array. */
export type TensorData = Float32Array | Int32Array | BigInt64Array | Uint8Array | Uint16Array;

export interface RuntimeOptions {
  /** `auto` (default) is webgpu where there is a hardware adapter, else cpu. */
  device?: DeviceName | "auto";
  /** CPU threads of one operation; default: all that this process may use. */
  threads?: number;
  /** File prefix: ONNX Runtime's profiler writes `<prefix>-<program>_<date>.json` for each loaded program. */
  profile?: string;
}

export interface LoadOptions {
  /** Hand the model's bytes over instead of a copy: the program is empty afterwards. Its array must be all of its buffer. */
  readonly transfer?: boolean;
}

export interface Runtime {
  readonly device: DeviceName;
  /** The lowering that programs for this device are compiled with. */
  readonly target: Target;
  readonly threads: number;
  /** One line: which device and why, such as `cpu, 2 threads (auto: no WebGPU adapter)`. */
  readonly reason: string;
  /** Builds a session. Throws DeviceError naming the program (and the node, where ONNX Runtime knows it). */
  load(program: Program, options?: LoadOptions): Promise<Executable>;
  /** Puts a named vector where programs compute; an existing one of that name is replaced. */
  setState(name: string, value: Float32Array): Promise<void>;
  /** A copy on the host of a named vector as the last run left it. */
  getState(name: string): Promise<Float32Array>;
  deleteState(name: string): Promise<void>;
  /** Ends the worker; what is still queued rejects. Returns the files that the profiler wrote since the last release. */
  close(): Promise<readonly string[]>;
}

export interface Executable {
  /** Its bytes, as large as the model where weights are inside, are let go when it is loaded. */
  readonly program: ProgramFacts;
  /**
   * Feeds every input that is not a state; returns every output that is not a next state. Feeds are copied when the call
   * is made. Calls may be queued; they run in order, and on WebGPU those that wait are
   * uploaded while the device computes. State changes only when a run succeeds. Runs of one `group` build on each other:
   * after one that fails the others that were queued fail with the same error, unrun.
   */
  run(
    feeds: Readonly<Record<string, TensorData>>,
    options?: { readonly group?: number },
  ): Promise<Record<string, TensorData>>;
  /** Frees the session; state stays. Returns the profiler's file when the runtime was made with `profile`. */
  release(): Promise<string | undefined>;
}
