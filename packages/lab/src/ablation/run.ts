/** Trains what an ablation planned, some at a time, each in a process of its own. A run that is stopped saves; the same plan goes on. */
import { join } from "node:path";
import { DeitError, readRun } from "deit-ts";
import type { EpochRecord, TrainEvent } from "deit-ts";
import {
  JobError,
  JobKilledError,
  SAME_TRAINING,
  asJson,
  differingOptions,
  firstLine,
  flagsOf,
  isRunFolder,
  makeFolder,
  otherOptions,
  runJob,
  withLock,
} from "deit-ts/studies";
import type { OptionDifference } from "deit-ts/studies";
import type { AblationPlan, PlannedRun } from "./plan.ts";
import type { TeachersReached } from "./teachers.ts";
import { checkTeachers } from "./teachers.ts";

export type AblationEvent =
  | { readonly type: "warning"; readonly message: string }
  /** Trainings, parts of them counted; `what` goes on now. */
  | { readonly type: "progress"; readonly done: number; readonly total: number; readonly what: string }
  /** Teachers are as close to each other as the table wants them. */
  | { readonly type: "teachers"; readonly reached: TeachersReached }
  | { readonly type: "finished"; readonly label: string; readonly acc1: number; readonly seconds: number }
  | { readonly type: "failed"; readonly label: string; readonly message: string };

export interface AblationHooks {
  readonly onEvent?: ((event: AblationEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The study was asked to stop; all runs have saved. */
class AblationInterruptedError extends DeitError {
  override readonly name = "InterruptedError";
  constructor(out: string) {
    super(`stopped and saved in ${out}`, { code: "run/interrupted", hint: "The same command resumes." });
  }
}

function isWhole(log: readonly EpochRecord[], epochs: number): boolean {
  return log.length >= epochs && log.at(-1)?.test_acc1 !== undefined;
}

/**
 * The log of a planned training that is finished; undefined for others.
 * @throws ConfigError when its folder holds one with other options: its name tells row, epochs and seed alone
 */
export async function finishedRun({
  folder,
  plan,
  row,
}: PlannedRun): Promise<readonly EpochRecord[] | undefined> {
  if (!(await isRunFolder(folder))) return undefined;
  const { args, log } = await readRun(folder);
  if (log.length === 0) return undefined;
  const differing = differingOptions(args, asJson(plan.run.args), SAME_TRAINING);
  if (differing.length > 0) throw otherOptions(folder, differing, adviceOn(differing, row));
  return isWhole(log, plan.loop.epochs) ? log : undefined;
}

function adviceOn(differing: readonly OptionDifference[], row: PlannedRun["row"]): string {
  const isOwn = ({ key }: OptionDifference): boolean =>
    row === undefined || key in row.change || key in (row.setting ?? {});
  const flags = flagsOf(differing);
  const before = differing.some(isOwn)
    ? "go on with the table as it was"
    : `go on with the options as they were${flags === undefined ? "" : `: ${flags}`}`;
  return `Choose another --out, or ${before}`;
}

/**
 * Trains every run that is not finished; `recorded` is called after each. One that fails is told and left; those that need it
 * are left, too.
 * @returns labels of what is not finished
 * @throws ConfigError before anything is trained when a folder holds a run with other options; DeitError before any student
 * is when the teachers lie further apart than the table allows
 * @throws AblationInterruptedError when `signal` is aborted, after saving
 */
export async function runAblation(
  plan: AblationPlan,
  { out, jobs = 1, recorded }: { out: string; jobs?: number; recorded: () => Promise<void> },
  { onEvent, signal }: AblationHooks = {},
): Promise<string[]> {
  const { runs } = plan;
  await makeFolder(out, { what: "the study" });
  const stopped = (): boolean => signal?.aborted ?? false;
  const onWait = (): void =>
    onEvent?.({ type: "warning", message: `another command works in ${out}; waiting for it` });
  return withLock(join(out, ".lock"), work, { onWait, signal });

  async function work(): Promise<string[]> {
    const parts = new Map<PlannedRun, number>();
    const queue: PlannedRun[] = [];
    for (const run of runs) {
      const isDone = (await finishedRun(run)) !== undefined;
      if (isDone) parts.set(run, 1);
      else queue.push(run);
    }
    const failed = new Set<PlannedRun>();
    const going = new Map<PlannedRun, Promise<void>>();
    const show = (what: string): void => {
      const done = [...parts.values()].reduce((sum, part) => sum + part, 0);
      onEvent?.({ type: "progress", done, total: runs.length, what });
    };
    const finish = async (run: PlannedRun): Promise<void> => {
      try {
        const start = performance.now();
        const result = await trainOne(run, {
          signal,
          onEvent,
          onPart(part, text) {
            parts.set(run, part);
            show(`${run.label}: ${text}`);
          },
        });
        parts.set(run, 1);
        onEvent?.({
          type: "finished",
          label: run.label,
          acc1: result,
          seconds: (performance.now() - start) / 1000,
        });
        await recorded();
      } catch (error) {
        if (stopped()) return;
        if (!(error instanceof JobError || error instanceof JobKilledError)) throw error;
        failed.add(run);
        onEvent?.({ type: "failed", label: run.label, message: firstLine(error) });
      } finally {
        going.delete(run);
      }
    };
    let mayTeach = false;
    const checkOnce = async (): Promise<void> => {
      const reached = await checkTeachers(plan, {
        signal,
        onEvent(event) {
          if (event.type === "warning") onEvent?.(event);
          else show(`the teachers, image ${event.done} of ${event.total}`);
        },
      });
      if (reached !== undefined) onEvent?.({ type: "teachers", reached });
      mayTeach = true;
    };
    show("");
    while ((queue.length > 0 || going.size > 0) && !stopped()) {
      const ready = queue.find(({ after }) => after.every((run) => parts.get(run) === 1));
      const lost = queue.find(({ after }) => after.some((run) => failed.has(run)));
      if (lost !== undefined) {
        failed.add(lost);
        queue.splice(queue.indexOf(lost), 1);
      } else if (ready?.row !== undefined && !mayTeach) {
        await checkOnce().catch((error: unknown) => {
          if (!stopped()) throw error;
        });
      } else if (ready !== undefined && going.size < jobs) {
        queue.splice(queue.indexOf(ready), 1);
        going.set(ready, finish(ready));
      } else await Promise.race(going.values());
    }
    await Promise.all(going.values());
    if (stopped()) throw new AblationInterruptedError(out);
    return [...failed].map(({ label }) => label);
  }
}

async function trainOne(
  { plan, label }: PlannedRun,
  { signal, onEvent, onPart }: AblationHooks & { onPart: (part: number, text: string) => void },
): Promise<number> {
  const { epochs } = plan.loop;
  const onMessage = (message: unknown): void => {
    const event = message as TrainEvent; // train-child.ts sends them
    if (event.type === "warning") onEvent?.({ type: "warning", message: `${label}: ${event.message}` });
    if (event.type !== "step") return;
    const { epoch, step, steps, loss } = event;
    onPart(
      Math.min(0.999, (epoch + step / steps) / epochs),
      `epoch ${epoch + 1} of ${epochs}, loss ${loss.toFixed(3)}`,
    );
  };
  const result = await runJob({
    beside: import.meta.url,
    module: "train-child",
    job: plan.run.args,
    onMessage,
    signal,
  });
  return (result as { readonly last: { readonly acc1: number } }).last.acc1; // TrainResult
}
