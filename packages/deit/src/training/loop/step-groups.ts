/**
 * Several steps together, so that a device has work while the host prepares more. On CUDA the state crosses the bus at every
 * run, so they are one run (graph/unroll-steps.ts). On WebGPU they are runs that are handed over without waiting for the one
 * before: a batch is uploaded while another is computed, and losses are read after the last. Nothing else changes: steps,
 * losses, saves and what a resume gives are the same, bit for bit.
 */
import { ConfigError } from "../../errors.ts";
import type { Program } from "../../graph/program.ts";
import { unrollSteps } from "../../graph/unroll-steps.ts";
import type { Executable, Runtime, TensorData } from "../../runtime/runtime.ts";

/** So many steps handed to the device together. */
export interface StepGroup {
  readonly count: number;
  /** The step's program so many times in one run; undefined where they are as many runs. */
  readonly executable: Executable | undefined;
}

type Feeds = Readonly<Record<string, TensorData>>;

/** What options say of it. */
export interface GroupSettings {
  /** Null: as many as suit the device. */
  readonly stepsPerRun: number | null;
  readonly accumulationSteps: number;
}

/** Without --steps-per-run: as many as this, while their batches stay below that. */
const LARGEST_GROUP = { cpu: 1, cuda: 16, webgpu: 4 } as const;
const MOST_BYTES = 256 * 2 ** 20;

/** The most that `groupSize` may give on a device: a step is traced before its batches are measured. */
export function largestGroup(
  { stepsPerRun, accumulationSteps }: GroupSettings,
  device: Runtime["device"],
): number {
  return accumulationSteps > 1 ? 1 : (stepsPerRun ?? LARGEST_GROUP[device]);
}

/** @throws ConfigError for several steps in a run of which each is a part of an update */
export function checkGroup({ stepsPerRun, accumulationSteps }: GroupSettings): void {
  if (stepsPerRun === null || stepsPerRun === 1 || accumulationSteps === 1) return;
  throw new ConfigError(
    "stepsPerRun",
    `--steps-per-run ${stepsPerRun} cannot be combined with --accumulation-steps`,
    { code: "options/conflict", hint: "Leave out one of the two." },
  );
}

/** How many steps should go together. */
export function groupSize(
  { stepsPerRun, accumulationSteps }: GroupSettings,
  { device, step }: { device: Runtime["device"]; step: Program },
): number {
  if (accumulationSteps > 1) return 1;
  if (stepsPerRun !== null) return stepsPerRun;
  return Math.max(1, Math.min(LARGEST_GROUP[device], Math.floor(MOST_BYTES / batchBytes(step))));
}

/** Of what a step is fed, images as the bytes that they come as. */
function batchBytes({ inputs, state }: Program): number {
  const fed = Object.entries(inputs).filter(([name]) => !Object.hasOwn(state, name));
  const bytes = fed.map(([, { dtype, shape }]) =>
    shape.reduce((product, side) => product * side, dtype === "uint8" ? 1 : 4),
  );
  return Math.max(
    1,
    bytes.reduce((sum, size) => sum + size, 0),
  );
}

export async function loadStepGroup(
  runtime: Runtime,
  step: Program,
  count: number,
): Promise<StepGroup | undefined> {
  if (count === 1) return undefined;
  if (runtime.device === "webgpu") return { count, executable: undefined };
  return { count, executable: await runtime.load(unrollSteps(step, count)) };
}

/** What became of steps that went together: the outputs of those that were done, and why the next one was not. */
export interface StepResults {
  readonly results: Record<string, TensorData>[];
  readonly failure: { readonly error: unknown } | undefined;
}

/** Of steps that were handed over together, see Executable.run. */
let groups = 0;

/**
 * Runs `count` steps in order, in one run where the group has one; else each is handed over when its feeds are there.
 * After one that fails none is run, so state is that after the last of `results`.
 */
export async function runSteps(
  { batch, group: together }: { batch: Executable; group: StepGroup | undefined },
  steps: AsyncIterable<Feeds>,
  count: number,
): Promise<StepResults> {
  const running: Promise<Record<string, TensorData>>[] = [];
  let failure: StepResults["failure"];
  try {
    if (together?.executable !== undefined && count === together.count) {
      const outputs = await together.executable.run(stack(await Array.fromAsync(steps)));
      return { results: unstack(outputs, count), failure };
    }
    const group = groups++;
    for await (const feeds of steps) {
      const run = batch.run(feeds, { group });
      run.catch(() => {}); // told below
      running.push(run);
    }
  } catch (error) {
    failure = { error }; // of the one run, or of what a step would have been fed with
  }
  const results: Record<string, TensorData>[] = [];
  for (const run of await Promise.allSettled(running)) {
    if (run.status === "rejected") return { results, failure: { error: run.reason } };
    results.push(run.value);
  }
  return { results, failure };
}

/** Items in groups, in order; `sizeFrom` says how many the group that begins with an item should have. */
export async function* inGroups<T>(
  items: AsyncIterable<T>,
  sizeFrom: (first: T) => number,
): AsyncGenerator<[T, ...T[]]> {
  let group: [T, ...T[]] | undefined;
  let size = 1;
  for await (const item of items) {
    if (group === undefined) {
      group = [item];
      size = sizeFrom(item);
    } else {
      group.push(item);
    }
    if (group.length < size) continue;
    yield group;
    group = undefined;
  }
  if (group !== undefined) yield group;
}

/** [B, …] of every step → [steps, B, …]. */
function stack(steps: readonly Feeds[]): Record<string, TensorData> {
  return Object.fromEntries(
    Object.entries(steps[0] ?? {}).map(([name, first]) => {
      const stacked = new (first.constructor as Uint8ArrayConstructor)(first.length * steps.length);
      // All steps of a program are fed with arrays of one kind.
      for (const [i, feeds] of steps.entries())
        stacked.set((feeds[name] ?? first) as Uint8Array, i * first.length);
      return [name, stacked];
    }),
  );
}

function unstack(outputs: Readonly<Record<string, TensorData>>, count: number): Record<string, TensorData>[] {
  return Array.from({ length: count }, (_, i) =>
    Object.fromEntries(
      Object.entries(outputs).map(([name, data]) => {
        const length = data.length / count;
        return [name, data.subarray(i * length, (i + 1) * length)];
      }),
    ),
  );
}
