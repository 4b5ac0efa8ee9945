/** What the commands that train have in common: the flags of the option schema, and what is printed in place of a training. */
import { Option } from "commander";
import type { Command } from "commander";
import { FINETUNE_DEFAULTS_SHOWN } from "../config/finetune-defaults.ts";
import { optionsToYaml, optionsWithSources } from "../config/print.ts";
import { requireImages } from "../config/resolve.ts";
import { TRAIN_OPTION_NAMES, trainJsonSchema } from "../config/schema.ts";
import type { TrainingPlan } from "../training/plan.ts";
import { DeitError } from "../errors.ts";
import { launchOf } from "../ranks/launcher.ts";
import type { Launch } from "../ranks/launcher.ts";
import type { RankGroup } from "../ranks/mpi-ranks.ts";
import { fromFirst } from "../ranks/ranks.ts";
import { chooseTogether, ranksToStart } from "../training/choose-together.ts";
import { createOutput } from "./output.ts";
import { EXIT, QuietExit } from "./report-error.ts";
import { fetchCheckpoint } from "./fetch-checkpoint.ts";
import { addShortHelp } from "./help.ts";
import { runEstimate, runTraining } from "./run-training.ts";
import { teachersLabels, withZeroShot } from "./teach.ts";
import type { DistillFlags } from "./teach.ts";
import { wholeNumber } from "./whole-number.ts";
import { addMissingFlags, addSchemaFlags, flagLayer } from "./schema-flags.ts";

interface TrainingFlags extends DistillFlags {
  estimate?: true;
  printConfig?: true;
  jsonSchema?: true;
  json?: true;
  export?: boolean;
  ui?: true;
  minutes?: number;
}

interface TrainingCommand {
  readonly help: string;
  /** From a pretrained checkpoint, also where none is named. */
  readonly finetuning: boolean;
  /** On images without classes, by a teacher's answers. */
  readonly distilling?: boolean;
}

/** What --help shows; --help-all shows the rest. */
const SHOWN: ReadonlySet<string> = new Set(
  [
    ...(["model", "input-size", "finetune", "val-split", "epochs", "batch-size", "lr", "seed"] as const),
    ...(["classes", "text-embeddings", "labelled"] as const),
    ...(["distillation-type", "teacher-path", "device", "output-dir", "minutes"] as const),
    ...(["estimate", "print-config", "json", "help-all", "help"] as const),
  ].map((name) => `--${name}`),
);

/** Adds flags and action to a command whose one argument is the source of options. */
export function asTrainingCommand(
  command: Command,
  { help, finetuning, distilling = false }: TrainingCommand,
): void {
  addSchemaFlags(command, TRAIN_OPTION_NAMES, finetuning ? { others: FINETUNE_DEFAULTS_SHOWN } : {});
  addMissingFlags(command);
  if (finetuning && !distilling) {
    command
      .optionsGroup("Fine-tuning:")
      .option(
        "--minutes <n>",
        "about how long to train; without --finetune the released weights that fit this time are taken (default: 10, from DeiT-Ti)",
        wholeNumber("minutes"),
      );
  }
  command.optionsGroup("Output:");
  addShortHelp(command, SHOWN);
  command
    .optionsGroup("Output:")
    .option("--estimate", "estimate time, memory and disk space on this machine; do not train")
    .option("--print-config", "print every option with its value and source; do not train")
    .option("--json-schema", "print the JSON Schema of recipe files")
    .option(
      "--export",
      "write the folder for transformers.js at the end (default where deit chose the options)",
    )
    .addOption(new Option("--no-export").hideHelp())
    .option("--ui", "show the run in a browser tab while it trains (deit ui RUN)")
    .option("--json", "print the result as one JSON document")
    .addHelpOption(new Option("-h, --help", "print this help").helpGroup("Output:"))
    .addHelpText("after", help)
    .action(async (source: string | undefined, flags: TrainingFlags) => {
      const output = createOutput({ json: flags.json });
      if (flags.jsonSchema) {
        process.stdout.write(`${JSON.stringify(trainJsonSchema(), null, 2)}\n`);
        return;
      }
      const given = flagLayer(command);
      const launch = launchOf(process.env);
      const isTraining = !(flags.printConfig ?? flags.estimate);
      if (!isTraining && launch !== undefined && launch.rank > 0) return; // rank 0 answers
      const asked = isTraining ? ranksToStart(given.values["ranks"], launch) : undefined;
      if (asked !== undefined) return start(asked);
      const ranks = isTraining && launch !== undefined ? await join(launch) : undefined;
      const { chooseOptions, isChosen } = await import("../training/choose-options.ts");
      const resolved = await chooseTogether(ranks, { source, layer: given }, async () => {
        const taught =
          distilling && source !== undefined && !(await isRun(source))
            ? await teachersLabels(source, flags, { command, output })
            : undefined;
        const found = await chooseOptions({
          source: taught?.labels.folder ?? source,
          given: withZeroShot(given, taught?.zeroShot),
          finetuning: finetuning && !flags.randomWeights,
          distilling: taught?.by ?? (distilling ? "labels" : undefined),
          minutes: flags.minutes,
          fetch: fetchCheckpoint,
        });
        return { ...found, taught };
      });
      const { options, sources, notes, chosen, taught: images } = resolved;
      const isFirst = ranks === undefined || ranks.rank === 0;
      if (isFirst) notes.forEach(output.warn);
      if (isFirst) chosen.forEach(output.note);
      const { planTraining } = await import("../training/plan.ts");
      if (flags.printConfig) {
        planTraining(options, resolved); // a model that is none and flags that contradict each other are said here, too
        output.result(optionsWithSources(options, sources), () => optionsToYaml(options, sources).trimEnd());
        return;
      }
      requireImages(options);
      const recorded = isTraining ? ranksToStart(options.ranks, launch) : undefined;
      if (recorded !== undefined) return start(recorded);
      const plan = planTraining(options, resolved);
      await fetchWeights(plan, ranks);
      if (flags.estimate) return runEstimate(plan, output);
      const taught = images && { ...images, labelled: flags.labelled };
      return runTraining(plan, output, {
        exports: flags.export,
        byDefault: isChosen(resolved),
        taught,
        ranks,
        ui: flags.ui,
      });
    });
}

async function isRun(folder: string): Promise<boolean> {
  const { isRunFolder } = await import("../training/run/run-folder.ts");
  return isRunFolder(folder);
}

/** This command again, as several ranks. */
async function start(ranks: number): Promise<void> {
  const { startRanks } = await import("../ranks/start-ranks.ts");
  const [, file = "", ...words] = process.argv;
  const code = await startRanks(ranks, [file, ...words]);
  if (code !== EXIT.done) throw new QuietExit(code);
}

/** The other ranks. What hinders them all is said by the first. */
async function join(launch: Launch): Promise<RankGroup | undefined> {
  const { joinRanks } = await import("../ranks/mpi-ranks.ts");
  try {
    return await joinRanks();
  } catch (error) {
    throw launch.rank > 0 && error instanceof DeitError ? new QuietExit(EXIT.failed) : error;
  }
}

/** What a run starts and learns from. One that goes on has its own weights, and needs its teacher only. */
async function fetchWeights(plan: TrainingPlan, ranks: RankGroup | undefined): Promise<void> {
  if (ranks === undefined) return fetchOwn(plan);
  // Rank 0 first: then the others on its machine find what it has fetched.
  await fromFirst(ranks, async () => {
    await fetchOwn(plan);
    return null;
  });
  if (ranks.rank > 0) await fetchOwn({ ...plan, finetune: undefined });
}

async function fetchOwn({ finetune, teacher, run }: TrainingPlan): Promise<void> {
  if (teacher !== undefined) await fetchCheckpoint(teacher.path);
  if (finetune === undefined) return;
  const { isRunFolder } = await import("../training/run/run-folder.ts");
  if (!(await isRunFolder(run.folder))) await fetchCheckpoint(finetune.path);
}
