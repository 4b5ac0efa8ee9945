/** The trainings of an ablation in the order that tells most first, with their options, all checked before the first begins. */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { ConfigError } from "deit-ts";
import type { TrainInput, TrainOptionName } from "deit-ts";
import {
  kebabCase,
  needsTeacher,
  optionNamed,
  planTraining,
  requireImages,
  resolveTrainOptions,
} from "deit-ts/studies";
import type { Layer, ResolvedOptions, TrainingPlan } from "deit-ts/studies";
import type { AblationRow, AblationTable } from "./table.ts";

/** One training. */
export interface PlannedRun {
  /** For people. */
  readonly label: string;
  /** Undefined for a teacher. */
  readonly row: AblationRow | undefined;
  readonly seed: number;
  readonly plan: TrainingPlan;
  readonly folder: string;
  /** Runs that have to be finished first. */
  readonly after: readonly PlannedRun[];
}

export interface AblationPlan {
  readonly table: AblationTable;
  readonly runs: readonly PlannedRun[];
  /** Where the weights of a teacher are, by its name. */
  readonly teachers: Readonly<Record<string, string>>;
}

export interface AblationPlanOptions {
  readonly seeds: readonly number[];
  /** The folder of the study. */
  readonly out: string;
  /** Options over the recipe's, for all rows. */
  readonly flags?: Layer | undefined;
  /** Multiplies epochs and warm-up. */
  readonly budget?: number | undefined;
  /** Trainings at a time, which share the threads. */
  readonly jobs?: number | undefined;
  /** Weights in place of teachers of the table, by name. */
  readonly teachers?: Readonly<Record<string, string>> | undefined;
}

/** What also a teacher that the table trains takes from the flags. */
const OF_TEACHERS: readonly TrainOptionName[] = ["dataPath", "device", "threads", "workers"];

/**
 * First the teachers; then of every seed the rows that others are compared with; then the others of the first seed, so that
 * every difference is seen once; then those of the other seeds, which tell how sure it is.
 * @throws ConfigError for options that contradict each other, before anything is trained
 */
export function planAblation(table: AblationTable, options: AblationPlanOptions): AblationPlan {
  const { seeds, flags } = options;
  checkFlags(table, flags);
  const teacherRuns = new Map<string, PlannedRun>();
  const teachers: Record<string, string> = {};
  for (const [name, is] of Object.entries(table.teachers ?? {})) {
    const given = options.teachers?.[name] ?? (typeof is === "string" ? is : undefined);
    if (given !== undefined) teachers[name] = given;
    else {
      const run = teacherRun(name, is as TrainInput, options);
      teacherRuns.set(name, run);
      teachers[name] = run.folder;
    }
  }
  const unknown = Object.keys(options.teachers ?? {}).find((name) => !(name in teachers));
  if (unknown !== undefined)
    throw new ConfigError("teacher", `the table has no teacher "${unknown}"`, {
      code: "study/no-such-teacher",
      hint: `Its teachers: ${Object.keys(teachers).join(", ") || "none"}.`,
    });
  const plannedRun = (row: AblationRow, seed: number): PlannedRun => {
    const own = row.teacher === undefined ? undefined : teacherRuns.get(row.teacher);
    // where teachers are to be alike, no student is trained before that is known
    const isGated = table.teachersWithin !== undefined;
    const after = isGated ? [...teacherRuns.values()] : own === undefined ? [] : [own];
    const teacherPath = row.teacher === undefined ? undefined : teachers[row.teacher];
    const label = `${row.name}, seed ${seed}`;
    const plan = rowPlan(row, { label, table, options, seed, teacherPath });
    return { label, row, seed, plan, folder: plan.run.folder, after };
  };
  const [first] = table.rows;
  const compared = new Set(table.rows.map(({ against }) => against ?? first?.name));
  const baselines = table.rows.filter(({ name }) => compared.has(name));
  const others = table.rows.filter(({ name }) => !compared.has(name));
  const runs = [
    ...teacherRuns.values(),
    ...seeds.flatMap((seed) => baselines.map((row) => plannedRun(row, seed))),
    ...seeds.flatMap((seed) => others.map((row) => plannedRun(row, seed))),
  ];
  checkFolders(runs);
  return { table, runs, teachers };
}

/** @throws ConfigError for rows whose names differ in signs alone, which folders' names leave out */
function checkFolders(runs: readonly PlannedRun[]): void {
  const owners = new Map<string, string>();
  for (const { folder, label } of runs) {
    const owner = owners.get(folder);
    if (owner !== undefined)
      throw new ConfigError("rows", `"${label}" and "${owner}" would be trained in one folder, ${folder}`, {
        code: "study/same-folder",
        hint: "Give rows names that differ in letters or digits.",
      });
    owners.set(folder, label);
  }
}

/** @throws ConfigError for a flag that would make the rows alike */
function checkFlags({ rows }: AblationTable, flags: Layer | undefined): void {
  const varied = new Set(rows.flatMap(({ change, setting }) => Object.keys({ ...change, ...setting })));
  for (const word of Object.keys(flags?.values ?? {})) {
    const given = optionNamed(word) ?? word;
    if (!varied.has(given)) continue;
    throw new ConfigError(given, `--${kebabCase(given)}: the rows of this table differ in it`, {
      code: "study/varied-option",
      hint:
        given === "epochs"
          ? "Leave it out; --budget 0.5 gives every row half of its epochs."
          : "Leave it out, or write a table of your own.",
    });
  }
}

interface RowContext {
  readonly label: string;
  readonly table: AblationTable;
  readonly options: AblationPlanOptions;
  readonly seed: number;
  readonly teacherPath: string | undefined;
}

function rowPlan(row: AblationRow, { label, table, options, seed, teacherPath }: RowContext): TrainingPlan {
  const { flags, out } = options;
  const layers: Layer[] = [
    { source: table.name, spelling: "key", values: table.recipe },
    ...(flags === undefined ? [] : [flags]),
    { source: `row "${row.name}"`, spelling: "key", values: { ...row.change, ...row.setting } },
  ];
  return planOf(label, layers, {
    ...options,
    folder: (epochs) => join(out, "runs", slug(`${row.name}-${epochs}-epochs-seed-${seed}`)),
    more: ({ options: { distillationType, ...given }, sources }) => {
      // no teacher for the rows that want none, where the table or a flag names one for all
      const isTaught = needsTeacher({ distillationType });
      const cache = sources.teacherCache === "default" ? join(out, "answers") : given.teacherCache;
      return {
        seed,
        finetune: given.finetune?.replaceAll("{seed}", String(seed)) ?? null,
        teacherPath: isTaught ? (teacherPath ?? given.teacherPath) : null,
        teacherCache: isTaught ? cache : given.teacherCache,
      };
    },
  });
}

function teacherRun(name: string, change: TrainInput, options: AblationPlanOptions): PlannedRun {
  const { flags, out } = options;
  const values = Object.entries(flags?.values ?? {}).filter(([key]) => OF_TEACHERS.some((of) => of === key));
  const layers: Layer[] = [
    { source: `teacher "${name}"`, spelling: "key", values: change },
    ...(flags === undefined ? [] : [{ ...flags, values: Object.fromEntries(values) }]),
  ];
  const label = `teacher ${name}`;
  const plan = planOf(label, layers, {
    ...options,
    folder: (epochs) => join(out, "runs", slug(`teacher-${name}-${epochs}-epochs`)),
  });
  return { label, row: undefined, seed: plan.batches.seed, plan, folder: plan.run.folder, after: [] };
}

interface StudyOptions extends Pick<AblationPlanOptions, "budget" | "jobs"> {
  readonly folder: (epochs: number) => string;
  readonly more?: (resolved: ResolvedOptions) => TrainInput;
}

/** The plan of layers with what the study says of every run. @throws what training would find wrong at a glance, with the run's label */
function planOf(
  label: string,
  layers: readonly Layer[],
  { budget = 1, jobs = 1, folder, more }: StudyOptions,
): TrainingPlan {
  const given = resolveTrainOptions(layers);
  const { threads, warmupEpochs } = given.options;
  const epochs = budget === 1 ? given.options.epochs : Math.max(1, Math.round(budget * given.options.epochs));
  const values: TrainInput = {
    epochs,
    warmupEpochs: budget * warmupEpochs,
    threads: threads ?? (jobs > 1 ? Math.max(1, Math.floor(availableParallelism() / jobs)) : null),
    outputDir: folder(epochs),
    ...more?.(given),
  };
  const { options } = resolveTrainOptions([...layers, { source: "the study", spelling: "key", values }]);
  try {
    requireImages(options, "deit analyze ablation RECIPE --data-path ./photos");
    return planTraining(options);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.path, `${label}: ${error.message}`, { code: error.code, cause: error });
  }
}

function slug(words: string): string {
  return words
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}.]+/gu, "-")
    .replaceAll(/^-|-$/g, "");
}
