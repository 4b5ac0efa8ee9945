/** The two places where state can live have one interface; the session host knows nothing else of a device. */

import type { Program, Target } from "../graph/program.ts";
import type { TensorData } from "./runtime.ts";

/** What a run returned: waits until it is there. */
export type Results = () => Promise<Record<string, TensorData>>;

/** A program with its session. */
export interface LoadedProgram {
  /** Starts a run. Its results may be asked for after later runs have been started, and must be before `release`. */
  run(feeds: Readonly<Record<string, TensorData>>): Promise<Results>;
  /** Returns the profiler's file, if any. */
  release(): Promise<string | undefined>;
}

/** Sessions and state of one device. Calls come one after another, never at once. */
export interface Engine {
  /** What programs may be compiled for, where that is more than the device alone says. */
  readonly target?: Target | undefined;
  /** Whether the device computes by itself after a run was started, so that it pays to start the next before asking. */
  readonly runsAhead: boolean;
  load(program: Program): Promise<LoadedProgram>;
  /** Takes the array over. */
  setState(name: string, value: Float32Array<ArrayBuffer>): Promise<void>;
  /** A fresh copy. */
  getState(name: string): Promise<Float32Array<ArrayBuffer>>;
  deleteState(name: string): Promise<void>;
}
