/** Timed forward passes from outside: one process makes the program, another loads it and is measured. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ForwardJob, ForwardTimes } from "../bench/forward.ts";
import { DeviceError } from "deit-ts";
import { JobError, JobKilledError, runJob } from "deit-ts/studies";
import type { ForwardStep } from "./forward-child.ts";

/** @throws DeviceError, and what `runJob` throws */
export async function runForward(
  job: Omit<ForwardJob, "folder">,
  signal: AbortSignal | undefined,
): Promise<ForwardTimes> {
  const folder = await mkdtemp(join(tmpdir(), "deit-forward-"));
  const run = async (step: ForwardStep["step"]): Promise<unknown> =>
    runJob({
      beside: import.meta.url,
      module: "forward-child",
      job: { ...job, folder, step } satisfies ForwardStep,
      signal,
    });
  try {
    await run("prepare");
    return (await run("time")) as ForwardTimes; // forward-child.ts returns them
  } catch (error) {
    signal?.throwIfAborted(); // the child ended because it was asked to
    if (error instanceof JobError && error.cause instanceof DeviceError) throw error.cause;
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What native code and V8 say where the system gives them no memory: such errors carry nothing but words. */
const NO_ALLOCATION = /bad_alloc|Array buffer allocation failed/;

/** Whether the system or the device had no memory for it. */
export function ranOutOfMemory(error: unknown): boolean {
  if (error instanceof JobKilledError) return error.signal === "SIGKILL";
  if (error instanceof DeviceError) return error.outOfMemory;
  return error instanceof Error && NO_ALLOCATION.test(error.message);
}
