/** `deit export`: a trained model for other programs, checked before it is called done. */
import { basename } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import type { Comparison } from "../../export/check.ts";
import type { DataOptions } from "../../data/open.ts";
import { ConfigError } from "../../errors.ts";
import type { ExportFormat, ExportOptions } from "../../export/export.ts";
import { CHECKPOINT_KINDS, fetchCheckpoint } from "../fetch-checkpoint.ts";
import { countOf, describeShare, shareOf } from "../../evaluation/metrics/share.ts";
import { facts } from "../views/text-format.ts";
import { withInterrupt } from "../interrupt.ts";
import { createOutput } from "../output.ts";
import { createProgress } from "../views/progress-line.ts";
import { addCheckpointFlags, preprocessingOptions } from "../preprocessing-flags.ts";
import { runData, runFolder, runImages, runTeacher } from "../run-options.ts";
import { givenOptions } from "../schema-flags.ts";
import { wholeNumber } from "../whole-number.ts";

const DATA_OPTIONS = ["dataPath", "dataSet", "valSplit", "seed"] as const;
const OPTIONS = [...DATA_OPTIONS, "model", "inputSize", "weights"] as const;
const FORMATS = [
  "transformers-js",
  "onnx",
  "safetensors",
  "timm",
  "huggingface",
] as const satisfies readonly ExportFormat[];

interface ExportFlags {
  format: (typeof FORMATS)[number];
  outputDir?: string;
  out?: string;
  images?: number;
  opset?: number;
  preprocessing?: true;
  overwrite?: true;
  json?: true;
}

export function addExportCommand(program: Command): void {
  const command = program
    .command("export")
    .description("Write a model for other programs: transformers.js, ONNX Runtime, timm, Hugging Face.")
    .argument("<checkpoint>", CHECKPOINT_KINDS)
    .addOption(new Option("--format <NAME>", "for what").choices(FORMATS).default("transformers-js"))
    .option("--output-dir <DIR>", "output folder (default: CHECKPOINT-FORMAT)")
    .option("--out <FILE>", "output file, for onnx and safetensors")
    .option("--images <N>", "largest number of images for the check (default: 200)", wholeNumber("images"))
    .option("--opset <N>", "version of the ONNX operators: 20 to 23 (default: 20)", wholeNumber("opset"))
    .option("--preprocessing", "onnx: include preprocessing; the model then takes whole uint8 images")
    .option("--overwrite", "replace existing files")
    .option("--json", "print the result as one JSON document");
  addCheckpointFlags(command, OPTIONS);
  command
    .addHelpText(
      "after",
      `
Every export is reloaded and compared with the original model on images before it is
kept: on the run's validation images, or on those of --data-path.

Examples:
  deit export runs/photos-deit_tiny_patch16_224          a folder for transformers.js
  deit export RUN --format onnx --out model.onnx         one file, any batch size
  deit export RUN --format onnx --out app.onnx --preprocessing
  deit export model.pth --format huggingface --output-dir ./hf`,
    )
    .action(runExport);
}

async function runExport(checkpoint: string, flags: ExportFlags, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  const given = givenOptions(command, OPTIONS);
  const own = given.dataPath === undefined && given.dataSet === undefined ? await ownImages(checkpoint) : {};
  await fetchCheckpoint(checkpoint);
  const { exportModel } = await import("../../export/export.ts");
  const progress = createProgress("exporting");
  const { images, opset, preprocessing, overwrite } = flags;
  const work = async (signal: AbortSignal): ReturnType<typeof exportModel> =>
    exportModel({
      checkpoint,
      format: flags.format,
      out: placeOf(checkpoint, flags),
      ...own,
      ...given,
      // another split was asked for
      ...((given.valSplit ?? given.seed) !== undefined && { recorded: undefined, selection: undefined }),
      preparation: preprocessingOptions(command).preprocessing,
      ...(images !== undefined && { images }),
      ...(opset !== undefined && { opset }),
      ...(preprocessing && { preprocessing }),
      ...(overwrite && { overwrite }),
      signal,
      onEvent: ({ type, message }) => (type === "warning" ? output.warn(message) : progress.line(message)),
    });
  const onFirst = (): void => progress.line("stopping after this step (Ctrl-C again ends at once)");
  const result = await withInterrupt(work, onFirst).finally(progress.stop);
  output.result(result, () =>
    [
      `exported ${result.model} to ${result.path}`,
      facts(result.files.map(({ file, bytes }) => [file, `${(bytes / 1e6).toFixed(1)} MB`] as const)),
      "",
      ...comparisonLines(result.comparisons),
    ].join("\n"),
  );
}

/** Where a run has its images from, parted as it was. */
async function ownImages(
  checkpoint: string,
): Promise<DataOptions & Pick<ExportOptions, "ofRun" | "selection" | "teacher">> {
  const run = await runData(checkpoint);
  if (run === undefined) return {};
  // Of the last weights or the averaged ones nothing was chosen.
  const isBest = basename(checkpoint) === "best.safetensors" || runFolder(checkpoint) === checkpoint;
  const { readSelection } = await import("../../training/run/run-selection.ts");
  const selection = isBest ? await readSelection(runFolder(checkpoint)) : undefined;
  const teacher = await runTeacher(checkpoint);
  return { ...run, recorded: await runImages(checkpoint), selection, teacher, ofRun: true };
}

/** @throws ConfigError for a folder where a file is made, and the other way round */
function placeOf(checkpoint: string, { format, out, outputDir }: ExportFlags): string {
  const isFile = format === "onnx" || format === "safetensors";
  const wrong = isFile ? outputDir : out;
  if (wrong !== undefined) {
    throw new ConfigError(
      isFile ? "outputDir" : "out",
      `--format ${format} makes a ${isFile ? "file" : "folder"}`,
      {
        code: "options/conflict",
        hint: isFile
          ? `Set it with --out model.${format === "onnx" ? "onnx" : "safetensors"}.`
          : "Set it with --output-dir.",
      },
    );
  }
  const name = basename(checkpoint).replace(/\.(?:safetensors|pth|bin|pt|onnx)$/, "") || "model";
  return (isFile ? out : outputDir) ?? (isFile ? `${name}.${format}` : `${name}-${format}`);
}

/** How a file was run, but for evaluation's own way. */
const WAYS: Readonly<Record<Comparison["by"], string>> = {
  deit: "",
  "transformers.js": " by transformers.js",
  onnxruntime: " on whole images",
};

/** What a model's files answer, a line each. */
function comparisonLines(comparisons: readonly Comparison[]): string[] {
  return comparisons.map(({ file, by, share, agreement, largestDifference, images }) => {
    const parts = [
      share && `top-1 ${describeShare(share)}`,
      `agreement ${countOf(shareOf(agreement, images))}`,
      largestDifference === undefined ? undefined : `logits within ${largestDifference.toPrecision(2)}`,
    ];
    return `  ${file}${WAYS[by]}: ${parts.filter((part) => part !== undefined).join(", ")}`;
  });
}
