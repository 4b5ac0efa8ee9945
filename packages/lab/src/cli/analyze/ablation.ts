/** `deit analyze ablation`: a table of variants of a recipe, trained with several seeds (Tables 2, 3, 8 and 9). */
import { availableParallelism } from "node:os";
import { Option } from "commander";
import type { Command } from "commander";
import type { AblationCost } from "../../ablation/cost.ts";
import type { AblationEvent } from "../../ablation/run.ts";
import {
  ConfigError,
  DeitError,
  TRAIN_OPTION_NAMES,
  addSchemaFlags,
  commandLine,
  createOutput,
  createProgress,
  duration,
  facts,
  fetchCheckpoint,
  flagLayer,
  integer,
  mebibytes,
  refuseFile,
  short,
  table,
  wholeNumber,
  withInterrupt,
} from "deit-ts/cli";
import type { Output, Progress } from "deit-ts/cli";

/** Said by --seeds and --out. */
const OWN = new Set(["seed", "outputDir"]);

interface AblationFlags {
  vary?: string[];
  grid?: true;
  table?: string;
  row?: string[];
  seeds?: number[];
  budget?: number;
  teacher?: Record<string, string>;
  compare?: Record<string, string>;
  out?: string;
  jobs?: number;
  estimate?: true;
  json?: true;
}

export function addAblationCommand(analyze: Command): void {
  const ablation = analyze
    .command("ablation")
    .description("Train variants of a recipe with several seeds and test which differences are significant.")
    .argument("[recipe]", "a recipe or config file, for --vary")
    .optionsGroup("Study:")
    .option(
      "--vary <OPTION=VALUES>",
      "values to try, such as mixup=0,0.8 (repeatable; one option at a time)",
      collect,
    )
    .option("--grid", "try all combinations")
    .option("--table <FILE>", "a file that exports recipe and rows, or the name of one: ablation-cifar10")
    .option("--row <NAME>", "train only this row and its baseline (repeatable)", collect)
    .addOption(new Option("--seeds <LIST>", "seeds of every row (default: 0)").argParser(seedsOf))
    .addOption(new Option("--budget <FACTOR>", "multiply every row's epochs").argParser(budgetOf))
    .addOption(
      new Option("--teacher <NAME=CKPT>", "checkpoint for this teacher of the table").argParser(named),
    )
    .addOption(
      new Option("--compare <NAME=CKPT>", "also compare with this checkpoint (repeatable)").argParser(named),
    )
    .option("--out <DIR>", "folder of runs and results (default: runs/ablation-NAME)")
    .option("--jobs <N>", "parallel trainings, which share the cores (default: 1)", wholeNumber("jobs"))
    .option("--estimate", "estimate the time on this machine; do not train")
    .option("--json", "print the result as one JSON document");
  addSchemaFlags(
    ablation,
    TRAIN_OPTION_NAMES.filter((name) => !OWN.has(name)),
    { defaults: false },
  );
  ablation
    .addHelpText(
      "after",
      `
The baseline of every seed is trained first, then each variant once, then the other
seeds. It can be stopped at any time; the same command resumes. Differences are paired
by seed; * marks those whose 95 % interval excludes 0. The flags of deit train apply to
all rows.

Examples:
  deit analyze ablation cifar10-small --vary mixup=0,0.8 --vary drop-path=0,0.1 \\
      --epochs 5 --seeds 0,1,2 --out runs/mixing
  deit analyze ablation --table ablation-cifar10 --epochs 4 --seeds 0,1,2 --estimate`,
    )
    .action(runAblationCommand);
}

async function runAblationCommand(
  recipe: string | undefined,
  flags: AblationFlags,
  command: Command,
): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { loadTable, onlyRows, variedTable } = await import("../../ablation/table.ts");
  const { planAblation } = await import("../../ablation/plan.ts");
  checkFlags(recipe, flags);
  const { vary = [], grid = false, jobs = 1, seeds = [0], budget, teacher, compare } = flags;
  const found =
    flags.table === undefined
      ? await variedTable(recipe ?? "", { vary, grid })
      : onlyRows(await loadTable(flags.table), flags.row);
  const out = flags.out ?? `runs/ablation-${found.name}`;
  await refuseFile(out); // says what is wrong before the work, not after
  const plan = planAblation(found, {
    seeds,
    out,
    flags: flagLayer(command),
    budget,
    jobs,
    teachers: teacher,
  });
  const twice = Object.keys(compare ?? {}).find((name) => name in plan.teachers);
  if (twice !== undefined)
    throw new ConfigError("compare", `--compare ${twice}=…: a teacher of the table has that name`, {
      code: "options/conflict",
      hint: "Students are compared with every teacher anyway; give others another name.",
    });
  const progress = createProgress(flags.estimate ? "timing" : "training");
  const onFirst = (): void =>
    progress.line("stopping after this step, then saving (Ctrl-C again ends at once)");
  if (flags.estimate) {
    const { costOfAblation } = await import("../../ablation/cost.ts");
    const cost = await withInterrupt(
      (signal) => costOfAblation(plan, { signal, onRow: (name) => progress.line(`timing ${name}…`) }),
      onFirst,
    ).finally(progress.stop);
    return output.result({ ...cost, jobs, runs: plan.runs.length }, () => costText(cost, jobs));
  }
  for (const checkpoint of Object.values({ ...teacher, ...compare })) await fetchCheckpoint(checkpoint);
  const { runAblation } = await import("../../ablation/run.ts");
  const { recordResults, summariseResults } = await import("../../ablation/results.ts");
  const { writeAblation } = await import("../../ablation/files.ts");
  const { compareAnswers, summariseAnswers } = await import("../../ablation/answers.ts");
  const { papersOf, shownSummaries } = await import("../../ablation/summary-table.ts");
  const recorded = async (): Promise<void> => void (await recordResults(plan, out));
  const show = viewOf(progress, output);
  const left = await withInterrupt(
    (signal) => runAblation(plan, { out, jobs, recorded }, { onEvent: show, signal }),
    onFirst,
  ).finally(progress.stop);
  const records = await recordResults(plan, out);
  const wantsAnswers = found.compareAnswers === true || compare !== undefined;
  const asking = createProgress("asking");
  const answers = wantsAnswers
    ? await withInterrupt(
        (signal) =>
          compareAnswers(
            plan,
            { witnesses: compare },
            {
              signal,
              onEvent(event) {
                if (event.type === "warning") output.warn(event.message);
                else asking.update(event.done, event.total, "predictions");
              },
            },
          ),
        () => asking.line("stopping; the trainings are done and kept"),
      ).finally(asking.stop)
    : [];
  const outcome = { table: found, records, answers, missing: left.length };
  const files = await writeAblation(out, outcome, { command: commandLine() });
  const summaries = summariseResults(found, records);
  const answerSummaries = summariseAnswers(found, answers);
  const shown = (rows: string[][]): string => table(rows, { right: [1, 2, 3, 4, 5, 6, 7] });
  const result = {
    out,
    table: found.name,
    missing: left,
    summaries,
    answerSummaries,
    records,
    answers,
    files,
  };
  output.result(result, () =>
    [
      shown(shownSummaries(summaries, papersOf(found))),
      ...[...Map.groupBy(answerSummaries, (summary) => summary.with)].map(
        ([other, own]) =>
          `Disagreement with ${other}, % of the validation images:\n${shown(shownSummaries(own))}`,
      ),
      `${out}: ${files.join(", ")}`,
    ].join("\n\n"),
  );
  if (left.length === 0) return;
  throw new DeitError(`not finished: ${left.join("; ")}`, {
    code: "study/not-finished",
    hint: "The same command tries again.",
  });
}

/** @throws ConfigError for flags that do not go with the others */
function checkFlags(recipe: string | undefined, { table, vary, grid, row }: AblationFlags): void {
  if (table !== undefined) {
    const refuse = (name: string, given: string): never => {
      throw new ConfigError(name, `${given} does not go with --table ${table}`, {
        code: "options/conflict",
        hint: "Leave one of them out: a table defines itself what its rows change.",
      });
    };
    if (recipe !== undefined) refuse("recipe", `the recipe ${recipe}`);
    if (vary !== undefined) refuse("vary", `--vary ${vary.join(" --vary ")}`);
    if (grid === true) refuse("grid", "--grid");
    return;
  }
  if (row !== undefined)
    throw new ConfigError("row", `--row ${row.join(" --row ")} chooses from a --table, and none was given`, {
      code: "options/missing",
      hint: "Leave it out, or name the table: --table ablation-cifar10.",
    });
  if (recipe === undefined || vary === undefined)
    throw new ConfigError("recipe", "which variants? Expected a recipe with --vary, or --table", {
      code: "options/missing",
      hint: "deit analyze ablation cifar10-small --vary mixup=0,0.8, or --table ablation-cifar10",
    });
}

function viewOf(progress: Progress, output: Output): (event: AblationEvent) => void {
  const start = performance.now();
  let before: number | undefined;
  return (event) => {
    if (event.type === "warning") output.warn(event.message);
    else if (event.type === "finished")
      progress.line(`${event.label}: ${event.acc1.toFixed(2)} %, ${duration(event.seconds)}`);
    else if (event.type === "teachers")
      progress.line(`the teachers are close enough: ${reachedText(event.reached)}`);
    else if (event.type === "failed") progress.line(`${event.label} failed: ${event.message}`);
    else {
      before ??= event.done;
      const rate = (event.done - before) / ((performance.now() - start) / 1000);
      const rest = rate > 0 ? `, ${duration((event.total - event.done) / rate)} left` : "";
      const count = `${Math.floor(event.done)} of ${event.total} runs`;
      progress.update(event.done, event.total, `${count}${rest}  ${event.what}`);
    }
  };
}

function reachedText(reached: Readonly<Record<string, number>>): string {
  return Object.entries(reached)
    .map(([name, acc1]) => `${name} ${acc1.toFixed(2)} %`)
    .join(", ");
}

function costText({ rows, seconds, peakRssMiB, diskMiB }: AblationCost, jobs: number): string {
  if (rows.length === 0)
    return "everything is trained: the same command without --estimate writes the results";
  const untaught = rows.some(({ withoutTeacher }) => withoutTeacher);
  return [
    `about ${duration(seconds / Math.min(jobs, availableParallelism()))} on this machine`,
    table(
      [
        ["row", "runs", "each", "images/s"],
        ...rows.map(({ name, runs, secondsEach, imagesPerSecond, withoutTeacher }) => [
          `${name}${withoutTeacher ? " (without its teacher)" : ""}`,
          integer(runs),
          duration(secondsEach),
          short(imagesPerSecond),
        ]),
      ],
      { right: [1, 2, 3] },
    ),
    facts([
      ["memory", mebibytes(peakRssMiB * jobs)],
      ["disk", mebibytes(diskMiB)],
      ["not counted", untaught ? "predictions of teachers that are still to be trained" : undefined],
    ]),
  ].join("\n\n");
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function seedsOf(text: string): number[] {
  const seeds = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (seeds.every((seed) => Number.isSafeInteger(seed) && seed >= 0)) return [...new Set(seeds)];
  throw new ConfigError(
    "seeds",
    `--seeds: got ${JSON.stringify(text)}, expected whole numbers such as 0,1,2`,
    { code: "options/value" },
  );
}

function budgetOf(text: string): number {
  const budget = Number(text);
  if (text.trim() !== "" && Number.isFinite(budget) && budget > 0) return budget;
  throw new ConfigError("budget", `--budget: got ${JSON.stringify(text)}, expected a number above 0`, {
    code: "options/value",
  });
}

function named(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at > 0 && at < text.length - 1) return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
  throw new ConfigError("name", `got ${JSON.stringify(text)}, expected NAME=CKPT`, { code: "options/value" });
}
