/**
 * Timed forward passes of anything that classifies images, and the memory they take, in two steps, each for a process of
 * its own: `prepareForward` makes the program and writes it down, `timeForward` loads it and answers. Memory is that of the
 * second process.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createRuntime } from "deit-ts";
import type { DeviceName } from "deit-ts";
import type { ReadyOptions } from "./ready-model.ts";
import { loadReady, writeReady } from "./ready-model.ts";
import { randomPixels } from "./workload.ts";

/** What is timed, as JSON. */
export interface ForwardJob extends ReadyOptions {
  /** Holds the program between the steps. */
  readonly folder: string;
  readonly device: DeviceName | "auto";
  readonly threads: number | null;
  /** Runs that are not timed after the first; at least one. */
  readonly warmUp: number;
  readonly runs: number;
}

export interface ForwardTimes {
  /** Of each timed run: from the end of the one before to its own. */
  readonly seconds: readonly number[];
  /** Largest resident set of the process while it answers; where the system allows that, loading is left out. */
  readonly memoryMiB: number;
  /** Of that, what it took before a model was loaded. */
  readonly runtimeMiB: number;
  readonly device: string;
  readonly threads: number;
}

/** Makes the program for a device and writes it into the job's folder. */
export async function prepareForward({ folder, device, threads, ...job }: ForwardJob): Promise<void> {
  const runtime = await createRuntime({ device, ...(threads !== null && { threads }) });
  await runtime.close(); // it is asked for the form that its programs take
  await writeReady(folder, job, runtime.target);
}

/** Loads what is in the job's folder, warms up, times. */
export async function timeForward(job: ForwardJob): Promise<ForwardTimes> {
  const { folder, device, threads, warmUp, runs } = job;
  const runtime = await createRuntime({ device, ...(threads !== null && { threads }) });
  try {
    forgetPeak();
    const runtimeMiB = peakMiB();
    const answer = await loadReady(runtime, folder, job);
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
      runtimeMiB,
      device: runtime.device,
      threads: runtime.threads,
    };
  } finally {
    await runtime.close();
  }
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
