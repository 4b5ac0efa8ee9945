/** How often the students of an ablation and its teachers answer differently (Table 4), a number for each seed. */
import { join } from "node:path";
import type { EvaluationDataOptions } from "deit-ts/data";
import { RUN_FILES } from "deit-ts/studies";
import type { EvaluateHooks } from "deit-ts/studies";
import type { Ballot } from "../agreement/agreement.ts";
import { castBallot } from "../agreement/agreement.ts";
import { measuredOn } from "./measured-on.ts";
import type { AblationPlan, PlannedRun } from "./plan.ts";
import { comparisonsOf, linesOf } from "./results.ts";
import { finishedRun } from "./run.ts";
import type { Measured, Summary } from "./statistics.ts";
import { summarise } from "./statistics.ts";
import type { AblationTable } from "./table.ts";

export interface AnswerRecord {
  readonly line: string;
  readonly row: string;
  readonly seed: number;
  /** Teacher or witness. */
  readonly with: string;
  /** Percent of the validation images with different answers. */
  readonly disagreement: number;
  readonly images: number;
}

/** Percent of different answers with one teacher or witness. */
export interface AnswerSummary extends Summary {
  readonly with: string;
}

export interface CompareOptions {
  /** Checkpoints by name that taught nobody, beside the teachers. */
  readonly witnesses?: Readonly<Record<string, string>> | undefined;
}

/** Students that are measured on the same images. */
interface Cohort {
  readonly evaluateOn: EvaluationDataOptions;
  readonly students: PlannedRun[];
}

/**
 * Asks every finished student about the images that its training was measured on, which it never saw, and the teachers and
 * witnesses about the same. Where every seed splits off images of its own, they are asked once for each.
 */
export async function compareAnswers(
  { runs, teachers }: AblationPlan,
  { witnesses = {} }: CompareOptions,
  { onEvent, signal }: EvaluateHooks = {},
): Promise<AnswerRecord[]> {
  const others = { ...teachers, ...witnesses };
  if (Object.keys(others).length === 0) return [];
  const cohorts = new Map<string, Cohort>();
  for (const run of runs) {
    if (run.row === undefined || (await finishedRun(run)) === undefined) continue;
    const { key, evaluateOn } = await measuredOn(run);
    const found = cohorts.get(key) ?? { evaluateOn, students: [] };
    found.students.push(run);
    cohorts.set(key, found);
  }
  for (const message of await seenByTeachers(runs, cohorts)) onEvent?.({ type: "warning", message });
  const records = new Map<PlannedRun, AnswerRecord[]>();
  for (const [i, cohort] of [...cohorts.values()].entries()) {
    const found = await ask(cohort, others, {
      signal,
      onEvent(event) {
        if (event.type !== "evaluate") return onEvent?.(event);
        const { done, total } = event;
        onEvent?.({ ...event, done: i * total + done, total: cohorts.size * total });
      },
    });
    for (const [run, own] of found) records.set(run, own);
  }
  return runs.flatMap((run) => records.get(run) ?? []);
}

/** Warnings of teachers that the table trains on images which students are measured on. */
async function seenByTeachers(
  runs: readonly PlannedRun[],
  cohorts: ReadonlyMap<string, Cohort>,
): Promise<string[]> {
  const messages: string[] = [];
  for (const run of runs) {
    if (run.row !== undefined) continue;
    const { key, evaluateOn: own } = await measuredOn(run);
    const seen = [...cohorts].some(
      ([other, { evaluateOn }]) =>
        other !== key && evaluateOn.dataPath === own.dataPath && evaluateOn.dataSet === own.dataSet,
    );
    if (seen)
      messages.push(
        `${run.label} has learnt images that students of other seeds are measured on: its predictions for these are better than for new ones`,
      );
  }
  return messages;
}

async function ask(
  { evaluateOn, students }: Cohort,
  others: Readonly<Record<string, string>>,
  hooks: EvaluateHooks,
): Promise<Map<PlannedRun, AnswerRecord[]>> {
  const [first] = students;
  const named = students.map((run, i) => ({ run, name: `student ${i}` }));
  const ballot = await castBallot(
    {
      ...evaluateOn,
      checkpoints: [
        ...named.flatMap(({ run, name }) => weightsOf(run, name)),
        ...Object.entries(others).map(([name, path]) => `${name}=${path}`),
      ],
      device: first?.plan.machine.device,
      workers: first?.plan.machine.workers,
      batchSize: first?.plan.batches.batchSize,
    },
    hooks,
  );
  return new Map(
    named.map(({ run, name }) => [run, recordsOf(run, name, { ballot, others: Object.keys(others) })]),
  );
}

/** The last weights, not the best: what is measured is the end of the training, not an epoch chosen on these images. */
function weightsOf({ folder, row, plan }: PlannedRun, name: string): string[] {
  const averaged =
    plan.optimizer.average !== undefined &&
    row !== undefined &&
    linesOf(row).some(({ head }) => head === "average");
  return [
    `${name}=${join(folder, RUN_FILES.last)}`,
    ...(averaged ? [`${averageOf(name)}=${join(folder, RUN_FILES.ema)}`] : []),
  ];
}

const averageOf = (name: string): string => `${name}, average`;

function recordsOf(
  { row, seed }: PlannedRun,
  student: string,
  { ballot, others }: { ballot: Ballot; others: readonly string[] },
): AnswerRecord[] {
  const images = ballot.images.length;
  const answersOf = (name: string, head: string): Int32Array | undefined => {
    const index = ballot.respondents.findIndex((one) => one.name === `${name} ${head}` || one.name === name);
    return ballot.answers[index];
  };
  return (row === undefined ? [] : linesOf(row)).flatMap(({ name: line, head }) =>
    others.flatMap((other): AnswerRecord[] => {
      const a =
        head === "average"
          ? (answersOf(averageOf(student), "joint") ?? answersOf(student, "joint"))
          : answersOf(student, head);
      const b = answersOf(other, "joint");
      if (a === undefined || b === undefined) return [];
      const different = a.reduce((count, answer, i) => count + (answer === b[i] ? 0 : 1), 0);
      const disagreement = (100 * different) / images;
      return [{ line, row: row?.name ?? "", seed, with: other, disagreement, images }];
    }),
  );
}

/** A number for each line and seed, of the answers with one teacher or witness. */
export function disagreements(answers: readonly AnswerRecord[]): Measured[] {
  return answers.map(({ line, seed, disagreement }) => ({ line, seed, value: disagreement }));
}

/** Disagreement of each line with every teacher and witness, compared as top-1 is. */
export function summariseAnswers(table: AblationTable, answers: readonly AnswerRecord[]): AnswerSummary[] {
  return [...Map.groupBy(answers, (answer) => answer.with)].flatMap(([other, own]) =>
    summarise(disagreements(own), comparisonsOf(table)).map((summary) => ({ ...summary, with: other })),
  );
}
