/** What the commands that train have in common: the flags of the option schema, and what is printed in place of a training. */
import { Option } from "commander";
import type { Command } from "commander";
import { optionsToYaml, optionsWithSources } from "../config/print.ts";
import { requirePictures } from "../config/resolve.ts";
import type { Layer, ResolvedOptions } from "../config/resolve.ts";
import type { TrainOptions } from "../config/schema.ts";
import { TRAIN_OPTION_NAMES, trainJsonSchema } from "../config/schema.ts";
import type { Output } from "./output.ts";
import { createOutput } from "./output.ts";
import { fetchCheckpoint } from "./fetch-checkpoint.ts";
import { runEstimate, runTraining } from "./run-training.ts";
import { addMissingFlags, addSchemaFlags, flagLayer } from "./schema-flags.ts";

interface TrainingFlags {
  estimate?: true;
  printConfig?: true;
  jsonSchema?: true;
  json?: true;
  export?: boolean;
}

interface TrainingCommand {
  readonly help: string;
  /** The options of the run, from its source and the flags. */
  readonly resolve: (source: string | undefined, flags: Layer, output: Output) => Promise<ResolvedOptions>;
}

/** Adds flags and action to a command whose one argument is the source of options. */
export function asTrainingCommand(command: Command, { help, resolve }: TrainingCommand): void {
  addSchemaFlags(command, TRAIN_OPTION_NAMES);
  addMissingFlags(command);
  command
    .optionsGroup("Output:")
    .option("--estimate", "tell the time, memory and disk that the run will take here; train nothing")
    .option("--print-config", "print every option with its value and its source; train nothing")
    .option("--json-schema", "print the JSON Schema of recipe files")
    .option(
      "--export",
      "write the folder for transformers.js at the end (default where deit chose the options)",
    )
    .addOption(new Option("--no-export").hideHelp())
    .option("--json", "print the result as one JSON document")
    .addHelpOption(new Option("-h, --help", "print this help").helpGroup("Output:"))
    .addHelpText("after", help)
    .action(async (source: string | undefined, flags: TrainingFlags) => {
      const output = createOutput({ json: flags.json });
      if (flags.jsonSchema) {
        process.stdout.write(`${JSON.stringify(trainJsonSchema(), null, 2)}\n`);
        return;
      }
      const resolved = await resolve(source, flagLayer(command), output);
      const { options, sources, notes } = resolved;
      for (const note of notes) output.warn(note);
      if (flags.printConfig) {
        output.result(optionsWithSources(options, sources), () => optionsToYaml(options, sources).trimEnd());
        return;
      }
      requirePictures(options);
      await fetchWeights(options);
      if (flags.estimate) return runEstimate(options, output);
      const isChosen = Object.values(sources).some((from) => from === "first run" || from === "fine-tuning");
      return runTraining(options, output, { exports: flags.export ?? isChosen });
    });
}

/** What a run starts and learns from. One that goes on has its own weights, and needs its teacher only. */
async function fetchWeights({ finetune, teacherPath, outputDir }: TrainOptions): Promise<void> {
  if (teacherPath !== null) await fetchCheckpoint(teacherPath);
  if (finetune === null) return;
  const { isRunFolder } = await import("../training/run-folder.ts");
  if (!(await isRunFolder(outputDir))) await fetchCheckpoint(finetune);
}
