/** The two places where state can live have one interface; the session host knows nothing else of a device. */

import type { Program } from "../graph/program.ts";
import type { TensorData } from "./runtime.ts";

/** A program with its session. */
export interface LoadedProgram {
  run(feeds: Readonly<Record<string, TensorData>>): Promise<Record<string, TensorData>>;
  /** Returns the profiler's file, if any. */
  release(): Promise<string | undefined>;
}

/** Sessions and state of one device. Calls come one after another, never at once. */
export interface Engine {
  /** Channels that convolutions may take as one block, where they can. */
  readonly block?: 8 | 16 | undefined;
  load(program: Program): Promise<LoadedProgram>;
  /** Takes the array over. */
  setState(name: string, value: Float32Array<ArrayBuffer>): Promise<void>;
  /** A fresh copy. */
  getState(name: string): Promise<Float32Array<ArrayBuffer>>;
  deleteState(name: string): Promise<void>;
}
