/** How often the students of an ablation and its teachers answer differently (Table 4), a number for each seed. */
import { castBallot } from "../agreement.ts";
import type { EvaluateHooks } from "../../evaluation/answers.ts";
import { RUN_FILES } from "../../training/run-folder.ts";
import type { AblationPlan, PlannedRun } from "./plan.ts";
import { linesOf } from "./results.ts";
import { finishedRun } from "./run.ts";

export interface AnswerRecord {
  readonly line: string;
  readonly row: string;
  readonly seed: number;
  /** Teacher or witness. */
  readonly with: string;
  /** Percent of the validation pictures with different answers. */
  readonly disagreement: number;
  readonly images: number;
}

export interface CompareOptions {
  /** Checkpoints by name that taught nobody, beside the teachers. */
  readonly witnesses?: Readonly<Record<string, string>> | undefined;
}

/** Asks every finished student, teacher and witness about the validation pictures once. */
export async function compareAnswers(
  { runs, teachers, table }: AblationPlan,
  { witnesses = {} }: CompareOptions,
  hooks: EvaluateHooks = {},
): Promise<AnswerRecord[]> {
  const students: { run: PlannedRun; name: string; path: string }[] = [];
  for (const run of runs) {
    if (run.row === undefined || (await finishedRun(run)) === undefined) continue;
    // The last weights: what is measured is the end of the training, not the best epoch on these pictures.
    students.push({ run, name: `student ${students.length}`, path: `${run.folder}/${RUN_FILES.last}` });
  }
  const others = { ...teachers, ...witnesses };
  const [first] = students;
  if (first === undefined || Object.keys(others).length === 0) return [];
  const { dataPath, dataSet, valSplit, device, workers, evalCropRatio, batchSize } = first.run.options;
  const ballot = await castBallot(
    {
      checkpoints: [
        ...students.map(({ name, path }) => `${name}=${path}`),
        ...Object.entries(others).map(([name, path]) => `${name}=${path}`),
      ],
      ...(dataPath !== null && { dataPath }),
      dataSet,
      valSplit,
      seed: first.run.options.seed,
      device,
      workers,
      batchSize,
      ...(table.recipe.evalCropRatio !== undefined && { evalCropRatio }),
    },
    hooks,
  );
  const answersOf = (name: string, head: string): Int32Array | undefined => {
    const index = ballot.respondents.findIndex((one) => one.name === `${name} ${head}` || one.name === name);
    return ballot.answers[index];
  };
  const images = ballot.pictures.length;
  return students.flatMap(({ run, name }) =>
    (run.row === undefined ? [] : linesOf(run.row)).flatMap(({ name: line, head }) =>
      Object.keys(others).flatMap((other): AnswerRecord[] => {
        const [a, b] = [answersOf(name, head === "average" ? "joint" : head), answersOf(other, "joint")];
        if (a === undefined || b === undefined) return [];
        const different = a.reduce((count, answer, i) => count + (answer === b[i] ? 0 : 1), 0);
        const disagreement = (100 * different) / images;
        return [{ line, row: run.row?.name ?? "", seed: run.seed, with: other, disagreement, images }];
      }),
    ),
  );
}
