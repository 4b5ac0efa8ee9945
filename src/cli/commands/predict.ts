/** `deit predict`: what a model sees in some pictures. */
import { stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import { ConfigError } from "../../errors.ts";
import type { PicturePredictions } from "../../evaluation/predict.ts";
import { oneLine } from "../../printable.ts";
import { csv } from "../../formats/csv.ts";
import { CHECKPOINT_KINDS, fetchCheckpoint } from "../fetch-checkpoint.ts";
import { integer, table } from "../format.ts";
import { withInterrupt } from "../interrupt.ts";
import { coloursFor, createOutput, forTerminal } from "../output.ts";
import type { Output } from "../output.ts";
import { createProgress, rateMeter } from "../progress.ts";
import { addPreprocessingFlags, preprocessingOptions } from "../preprocessing-flags.ts";
import { addSchemaFlags, givenOptions } from "../schema-flags.ts";
import { wholeNumber } from "../whole-number.ts";

const OPTIONS = ["model", "inputSize", "weights", "batchSize", "device", "threads", "workers"] as const;

interface PredictFlags {
  topk: number;
  csv?: true;
  out?: string;
  sheet?: string;
  json?: true;
}

export function addPredictCommand(program: Command): void {
  const command = program
    .command("predict")
    .description("Classify images.")
    .argument("<checkpoint>", CHECKPOINT_KINDS)
    .argument("<image...>", "image files, folders (searched through) and quoted globs")
    .addOption(new Option("--topk <N>", "answers per image").argParser(wholeNumber("topk")).default(5))
    .option("--csv", "print a table: file,label,score,label_2,score_2,… and a line for each image")
    .option("--out <FILE>", "write that table to a file")
    .option("--sheet <FILE>", "draw the images with their answers: .png, .jpg or .webp")
    .option("--json", "print the result as one JSON document");
  addSchemaFlags(command, OPTIONS, { groups: false, defaults: false });
  addPreprocessingFlags(command);
  command
    .addHelpText(
      "after",
      `
Pictures that cannot be read are named in warnings and left out of every result;
the exit code is 1 only if none can be read.

Examples:
  deit predict runs/photos-deit_w64d4_patch4_32 cat.jpg dog.jpg --topk 3
  deit predict RUN ./holiday --sheet holiday.jpg
  deit predict RUN './photos/**/*.jpg' --out answers.csv
  deit predict RUN ./photos --json | jq '.[].predictions[0].label'`,
    )
    .action(runPredict);
}

async function runPredict(
  checkpoint: string,
  images: string[],
  flags: PredictFlags,
  command: Command,
): Promise<void> {
  const output = createOutput({ json: flags.json });
  await checkPlaces(flags);
  await fetchCheckpoint(checkpoint);
  const { predict } = await import("../../evaluation/predict.ts");
  const progress = createProgress("predicting");
  const meter = rateMeter("images");
  const results = await withInterrupt(
    (signal) =>
      predict(
        {
          checkpoint,
          images,
          topk: flags.topk,
          ...givenOptions(command, OPTIONS),
          ...preprocessingOptions(command),
        },
        {
          signal,
          onEvent(event) {
            if (event.type === "predict")
              progress.update(event.done, event.total, meter(event.done, event.total));
            else {
              progress.stop(); // the bar comes back below the warning
              output.warn(event.message);
            }
          },
        },
      ),
    () => progress.line("stopping"),
  ).finally(progress.stop);
  if (flags.sheet !== undefined) await drawSheet(flags.sheet, results, { checkpoint, output });
  if (flags.out !== undefined) {
    const { writeFileAtomic } = await import("../../formats/atomic-file.ts");
    await writeFileAtomic(flags.out, csv(csvRows(results)), { what: "the answers" });
    output.note(`table of ${counted(results.length)}: ${flags.out}`);
  }
  if (flags.json) output.result(results, () => "");
  else if (flags.out === undefined && flags.csv)
    process.stdout.write(tableFor(process.stdout, csv(csvRows(results))));
  else if (flags.out === undefined) output.result(results, () => results.map(described).join("\n"));
}

/** What can be wrong with the places for results, before any work. @throws ConfigError */
async function checkPlaces({ csv: asCsv, out, sheet, json }: PredictFlags): Promise<void> {
  if (asCsv && json && out === undefined) {
    throw new ConfigError("csv", "--csv and --json both print to stdout", {
      code: "options/conflict",
      hint: "Choose one, or write the table to a file: --out answers.csv --json.",
    });
  }
  if (out !== undefined) {
    const folder = dirname(resolve(out));
    if (!((await stat(folder).catch(() => undefined))?.isDirectory() ?? false))
      throw new ConfigError("out", `--out: there is no folder ${folder}`, {
        code: "files/no-folder",
        hint: "Make it first, or name another.",
      });
  }
  if (sheet === undefined) return;
  const { checkSheetFile } = await import("../../preview/drawing.ts");
  await checkSheetFile(resolve(sheet), "sheet");
}

async function drawSheet(
  file: string,
  results: readonly PicturePredictions[],
  { checkpoint, output }: { checkpoint: string; output: Output },
): Promise<void> {
  const { SHEET_PICTURES, writePredictionSheet } = await import("../../preview/prediction-sheet.ts");
  const total = counted(results.length);
  const shown = await writePredictionSheet(resolve(file), results, {
    title: `What ${basename(resolve(checkpoint))} sees`,
    subtitle: results.length > SHEET_PICTURES ? `The first ${SHEET_PICTURES} of ${total}` : total,
  });
  output.note(`sheet of ${shown === results.length ? total : `${shown} of ${total}`}: ${file}`);
}

function counted(pictures: number): string {
  return `${integer(pictures)} ${pictures === 1 ? "image" : "images"}`;
}

function described({ image, predictions }: PicturePredictions): string {
  const { bold } = coloursFor(process.stdout);
  const rows = predictions.map(({ label, score }) => [`${(100 * score).toFixed(1)} %`, label]);
  return `${bold(oneLine(image))}\n${table(rows, { right: [0] }).replaceAll(/^/gm, "  ")}`;
}

/** Names as they are for programs, as signs for people. */
function tableFor(stream: NodeJS.WriteStream, text: string): string {
  return stream.isTTY ? forTerminal(stream, text) : text;
}

/** Digits of a score: those that float32 logits are good for. */
const DIGITS = 6;

/** file,label,score for the best answer, then label_2,score_2 and so on for the others. */
function csvRows(results: readonly PicturePredictions[]): (string | number)[][] {
  const answers = Math.max(...results.map(({ predictions }) => predictions.length));
  const heading = Array.from({ length: answers }, (_, i) => (i === 0 ? "" : `_${i + 1}`));
  return [
    ["file", ...heading.flatMap((suffix) => [`label${suffix}`, `score${suffix}`])],
    ...results.map(({ image, predictions }) => [
      image,
      ...predictions.flatMap(({ label, score }) => [label, score.toFixed(DIGITS)]),
    ]),
  ];
}
