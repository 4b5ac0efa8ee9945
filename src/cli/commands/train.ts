/** `deit train`: options from a folder, a recipe and flags; then the library's train() with its events shown. */
import { readdir, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import { optionsToYaml, optionsWithSources } from "../../config/print.ts";
import { firstRunDefaults, guessRate } from "../../config/first-run.ts";
import { loadRecipe } from "../../config/recipe.ts";
import { namesPictures, requirePictures, resolveTrainOptions } from "../../config/resolve.ts";
import type { Layer, ResolvedOptions } from "../../config/resolve.ts";
import { TRAIN_OPTION_NAMES, trainJsonSchema } from "../../config/schema.ts";
import type { TrainOptions } from "../../config/schema.ts";
import { duration, facts, integer, mebibytes, short } from "../format.ts";
import { withInterrupt } from "../interrupt.ts";
import { createOutput } from "../output.ts";
import { RUN_OPTIONS_FILE } from "../run-options.ts";
import type { Output } from "../output.ts";
import { addMissingFlags, addSchemaFlags, flagLayer } from "../schema-flags.ts";
import { trainingView } from "../training-view.ts";
import type { TrainingView } from "../training-view.ts";

interface TrainFlags {
  estimate?: true;
  printConfig?: true;
  jsonSchema?: true;
  json?: true;
}

export function addTrainCommand(program: Command): void {
  const command = program
    .command("train")
    .description("Train a model on a folder of pictures, or by a recipe.")
    .argument("[source]", "folder of pictures, recipe (by name or file), or run folder to continue");
  addSchemaFlags(command, TRAIN_OPTION_NAMES);
  addMissingFlags(command);
  command
    .optionsGroup("Output:")
    .option("--estimate", "tell the time, memory and disk that the run will take here; train nothing")
    .option("--print-config", "print every option with its value and its source; train nothing")
    .option("--json-schema", "print the JSON Schema of recipe files")
    .option("--json", "print the result as one JSON document")
    .addHelpOption(new Option("-h, --help", "print this help").helpGroup("Output:"))
    .addHelpText("after", HELP)
    .action(runTrain);
}

const HELP = `
Given only a folder of pictures, deit picks a small model, a picture size and a
run of about five minutes. With a recipe or --model, DeiT's own defaults hold, as
shown above. A recipe beats the defaults, a flag beats the recipe. Flags may be
written as in DeiT's scripts: --data_path, --output_dir.

Examples:
  deit train ./photos                          a first try
  deit train ./photos --epochs 100 --estimate  how long would that take?
  deit train cifar10-small                     a recipe that comes with deit
  deit train runs/cifar10-small                go on where it stopped
  deit train my.yaml --lr 1e-3 --print-config  which value comes from where?
  deit train --model deit_tiny_patch16_224 --data-path ./imagenet`;

async function runTrain(source: string | undefined, flags: TrainFlags, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  if (flags.jsonSchema) return void process.stdout.write(`${JSON.stringify(trainJsonSchema(), null, 2)}\n`);
  const { options, sources, notes } = await resolveSources(source, flagLayer(command), output);
  for (const note of notes) output.warn(note);
  if (flags.printConfig) {
    return output.result(optionsWithSources(options, sources), () =>
      optionsToYaml(options, sources).trimEnd(),
    );
  }
  requirePictures(options);
  return flags.estimate ? runEstimate(options, output) : runTraining(options, output);
}

/** `source` and the flags as one set of options; see resolve.ts for the precedence. */
async function resolveSources(
  source: string | undefined,
  flags: Layer,
  output: Output,
): Promise<ResolvedOptions> {
  const layers = [...(source === undefined ? [] : await sourceLayers(source)), flags];
  const resolved = resolveTrainOptions(layers);
  const fromFile = layers.some((layer) => layer.spelling === "key");
  if (fromFile || resolved.sources.model !== "default" || !namesPictures(resolved.options)) return resolved;
  const first = resolveTrainOptions([await firstRunLayer(resolved.options), ...layers]);
  const { model, inputSize, epochs } = first.options;
  output.note(
    `chosen for these pictures: ${model} at ${inputSize} pixels, ${epochs} epochs (--print-config shows all options)`,
  );
  return first;
}

/** A folder is pictures, or a run to continue; everything else is a recipe. */
async function sourceLayers(source: string): Promise<Layer[]> {
  const isFolder = (await stat(source).catch(() => undefined))?.isDirectory() ?? false;
  if (!isFolder) return [await loadRecipe(source)];
  const isRun = (await readdir(source)).includes(RUN_OPTIONS_FILE);
  const folder = { source: "command line", spelling: "flag" } as const;
  if (!isRun) return [{ ...folder, values: { dataPath: source } }];
  return [await loadRecipe(join(source, RUN_OPTIONS_FILE)), { ...folder, values: { outputDir: source } }];
}

async function firstRunLayer(options: TrainOptions): Promise<Layer> {
  const { surveyPictures } = await import("../../data/survey.ts");
  const { images, medianSize } = await surveyPictures(options);
  const cores = options.threads ?? availableParallelism();
  const chosen = firstRunDefaults({ images, medianSize, imagesPerSecondEstimate: guessRate(cores) });
  return { source: "first run", spelling: "key", values: chosen };
}

async function runEstimate(options: TrainOptions, output: Output): Promise<void> {
  const { estimate } = await import("../../training/train.ts");
  output.note("timing a few steps…");
  const result = await estimate(options);
  output.result(result, () =>
    [
      `${duration(result.seconds)} for this run on this machine`,
      facts([
        ["model", `${result.model}, ${integer(result.parameters)} parameters`],
        [
          "steps",
          `${integer(result.steps)} (${integer(result.stepsPerEpoch)} an epoch, ${options.epochs} epochs)`,
        ],
        ["images/s", short(result.imagesPerSecond)],
        ["memory", mebibytes(result.peakRssMiB)],
        ["disk", mebibytes(result.diskMiB)],
      ]),
    ].join("\n"),
  );
}

async function runTraining(options: TrainOptions, output: Output): Promise<void> {
  const { train } = await import("../../training/train.ts");
  const view = trainingView(output);
  const work = (signal: AbortSignal): ReturnType<typeof train> =>
    train(options, { onEvent: view.show, signal });
  const onFirst = (): void => view.line("stopping after this step, then saving (Ctrl-C again ends at once)");
  const result = await withInterrupt(work, onFirst).finally(view.stop);
  const report = await writeReport(result.run, view, output).finally(view.stop);
  output.result({ ...result, report }, () =>
    [
      `trained ${result.model} in ${duration(result.seconds)}: ${result.best.acc1.toFixed(2)} % right on pictures it never saw (epoch ${result.best.epoch + 1})`,
      facts([
        ["last epoch", `${result.last.acc1.toFixed(2)} %`],
        ["right in five", `${result.best.acc5.toFixed(2)} %`],
        ["images/s", short(result.imagesPerSecond)],
        ["run folder", result.run],
        ["report", report ?? undefined],
      ]),
      "",
      "Next:",
      `  deit predict ${result.run} PICTURE…`,
      `  deit eval ${result.run}`,
    ].join("\n"),
  );
}

/** Path of the page on the run. That none can be made is no failure of the training, which is done and saved: null. */
async function writeReport(run: string, view: TrainingView, output: Output): Promise<string | null> {
  const { reportRun } = await import("../../report/report.ts");
  try {
    const { report } = await withInterrupt(
      (signal) => reportRun(run, { signal, onEvent: view.show }),
      () => view.line("stopping without a report"),
    );
    return report;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    output.warn(`there is no report, deit report ${run} tries again: ${reason}`);
    return null;
  }
}
