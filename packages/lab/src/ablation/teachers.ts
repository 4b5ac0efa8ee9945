/** Whether the teachers of an ablation are about as accurate, so that what their students differ in comes from something else. */
import { DeitError, evaluate as evaluateCheckpoint } from "deit-ts";
import type { EvaluateEvent } from "deit-ts/studies";
import { measuredOn } from "./measured-on.ts";
import type { AblationPlan } from "./plan.ts";

/** Top-1 in percent, by a teacher's name. */
export type TeachersReached = Readonly<Record<string, number>>;

/**
 * Evaluates the weights that the students would learn from, all heads together: of a teacher that the table trains on the
 * images that its training was measured on, of others on those of the students. Nothing where the table sets no limit.
 * @throws DeitError when they lie further apart than `teachersWithin`
 */
export async function checkTeachers(
  { table: { teachersWithin }, runs, teachers }: AblationPlan,
  { onEvent, signal }: { onEvent?: (event: EvaluateEvent) => void; signal?: AbortSignal | undefined } = {},
): Promise<TeachersReached | undefined> {
  if (teachersWithin === undefined || Object.keys(teachers).length < 2) return undefined;
  const reached: Record<string, number> = {};
  for (const [name, checkpoint] of Object.entries(teachers)) {
    const own = runs.find(({ row, folder }) => row === undefined && folder === checkpoint);
    const run = own ?? runs.find(({ row }) => row !== undefined);
    if (run === undefined) continue;
    const { device, workers } = run.plan.machine;
    const { batchSize } = run.plan.batches;
    const { evaluateOn } = await measuredOn(run);
    const report = await evaluateCheckpoint(
      { ...evaluateOn, checkpoint, device, workers, batchSize, resamples: 1 },
      { onEvent, signal },
    );
    reached[name] = report.acc1;
  }
  const found = Object.entries(reached).map(([name, acc1]) => `${name} ${acc1.toFixed(2)} %`);
  const apart = Math.max(...Object.values(reached)) - Math.min(...Object.values(reached));
  if (apart <= teachersWithin) return reached;
  throw new DeitError(
    `the teachers are ${apart.toFixed(2)} points of top-1 apart, and the table allows ${teachersWithin}: ${found.join(", ")}; no student is trained`,
    {
      code: "study/teachers-apart",
      hint: "Change the epochs of one of them in the table, which trains it again, or give other weights: --teacher NAME=RUN.",
    },
  );
}
