/** What an ablation will take, from a few real steps of every row. */
import { estimate } from "deit-ts";
import type { TrainInput } from "deit-ts";
import { locateCheckpoint } from "deit-ts/studies";
import type { AblationPlan, PlannedRun } from "./plan.ts";
import { finishedRun } from "./run.ts";

export interface AblationCost {
  readonly rows: readonly {
    readonly name: string;
    /** Trainings that are not finished. */
    readonly runs: number;
    readonly secondsEach: number;
    readonly imagesPerSecond: number;
    /** The teacher is still to be trained: its answers are not in the estimate. */
    readonly withoutTeacher: boolean;
  }[];
  /** Of all trainings one after the other. */
  readonly seconds: number;
  readonly peakRssMiB: number;
  readonly diskMiB: number;
}

/** Rows are timed one after the other; a row that has been trained already costs nothing. */
export async function costOfAblation(
  { runs }: AblationPlan,
  { onRow, signal }: { onRow?: (name: string) => void; signal?: AbortSignal | undefined } = {},
): Promise<AblationCost> {
  const open = new Map<string, PlannedRun[]>();
  for (const run of runs) {
    if ((await finishedRun(run)) !== undefined) continue;
    const name = run.row?.name ?? run.label;
    open.set(name, [...(open.get(name) ?? []), run]);
  }
  const rows: AblationCost["rows"][number][] = [];
  let [seconds, peakRssMiB, diskMiB] = [0, 0, 0];
  for (const [name, [first, ...others]] of open) {
    if (first === undefined) continue;
    signal?.throwIfAborted();
    onRow?.(name);
    const withoutTeacher = await lacksTeacher(first);
    const found = await estimate(withoutTeacher ? untaught(first) : first.plan.run.args);
    const count = 1 + others.length;
    rows.push({
      name,
      runs: count,
      secondsEach: found.seconds,
      imagesPerSecond: found.imagesPerSecond,
      withoutTeacher,
    });
    seconds += count * found.seconds;
    diskMiB += count * found.diskMiB;
    peakRssMiB = Math.max(peakRssMiB, found.peakRssMiB);
  }
  return { rows, seconds, peakRssMiB, diskMiB };
}

async function lacksTeacher({ plan: { teacher }, after }: PlannedRun): Promise<boolean> {
  if (teacher === undefined || after.length === 0) return false;
  return (await locateCheckpoint(teacher.path).catch(() => undefined)) === undefined;
}

/** The same training by the true labels alone. */
function untaught({ plan: { run } }: PlannedRun): TrainInput {
  const distillationType = run.args["distillationHead"] === "token" ? "labels" : "none";
  return { ...(run.args as TrainInput), distillationType, teacherPath: null };
}
