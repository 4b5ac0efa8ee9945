/** `deit predict`: what a model sees in some images. */
import { stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import { ConfigError } from "../../errors.ts";
import type { ImagePredictions } from "../../evaluation/predict.ts";
import { CHECKPOINT_KINDS, fetchCheckpoint } from "../fetch-checkpoint.ts";
import { counted } from "../views/text-format.ts";
import { withInterrupt } from "../interrupt.ts";
import { namesOnInput } from "../named-on-input.ts";
import { createOutput } from "../output.ts";
import type { Output } from "../output.ts";
import type { AnswerSink } from "../views/prediction-output.ts";
import { above } from "../views/prediction-output.ts";
import { createProgress, rateMeter } from "../views/progress-line.ts";
import { EXIT, QuietExit } from "../report-error.ts";
import { isOutputLost } from "../streams.ts";
import { addCheckpointFlags, preprocessingOptions } from "../preprocessing-flags.ts";
import { givenOptions } from "../schema-flags.ts";
import { wholeNumber } from "../whole-number.ts";

const OPTIONS = ["model", "inputSize", "weights", "batchSize", "device", "threads", "workers"] as const;

/** Images of a sheet; more are kept no answers of. */
const MOST_SHOWN = 300;

interface PredictFlags {
  topk: number;
  minScore: number;
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
    .argument(
      "<image...>",
      "image files, folders (searched recursively), quoted globs, URLs; - reads them from standard input",
    )
    .addOption(new Option("--topk <N>", "predictions per image").argParser(wholeNumber("topk")).default(5))
    .addOption(
      new Option("--min-score <S>", "leave out predictions with a lower score, 0 to 1")
        .argParser(scoreFrom)
        .default(0),
    )
    .option("--csv", "print CSV, one row per image: file,label,score,label_2,score_2,…")
    .option("--out <FILE>", "write the CSV to a file")
    .option(
      "--sheet <FILE>",
      "write a sheet of the images with their predictions: .html, .png, .jpg or .webp",
    )
    .option("--json", "print the result as one JSON document");
  addCheckpointFlags(command, OPTIONS);
  command
    .addHelpText(
      "after",
      `
Standard input (-) holds paths and URLs, one per line, or separated by NUL as
find -print0 writes them. Results are printed as they are computed; the file of
--out appears when it is complete. A sheet shows the first 300 images.

Images that cannot be read are reported as warnings and skipped.
Exit codes: 0 done; 1 none can be read, or another failure; 2 wrong usage;
3 no prediction reaches --min-score; 130 interrupted.

Examples:
  deit predict runs/photos-deit_w64d4_patch4_32 cat.jpg dog.jpg --topk 3
  deit predict RUN ./holiday --sheet holiday.html
  deit predict RUN './photos/**/*.jpg' --out predictions.csv
  find photos -name '*.jpg' | deit predict RUN - --csv
  deit predict RUN https://example.org/cat.jpg
  deit predict RUN door.jpg --min-score 0.9 --topk 1 && echo sure
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
  const names = images.includes("-") ? await namesOnInput() : [];
  const { predictEach } = await import("../../evaluation/predict.ts");
  const progress = createProgress("predicting");
  const meter = rateMeter("images");
  const { out, sheet, minScore } = flags;
  const sinks = await openSinks(flags);
  const shown: ImagePredictions[] = [];
  let [answered, reaching] = [0, 0];
  try {
    await withInterrupt(
      async (signal) => {
        const results = predictEach(
          {
            checkpoint,
            images: images.flatMap((name) => (name === "-" ? names : [name])),
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
        );
        for await (const result of results) {
          answered++;
          if (above(result, minScore).length > 0) reaching++;
          // What a data: address holds is not kept.
          if (sheet !== undefined && shown.length < MOST_SHOWN && !/^data:/i.test(result.image))
            shown.push(result);
          if (process.stdout.isTTY) progress.stop();
          for (const sink of sinks) await sink.add(result);
          if (isOutputLost() && out === undefined && sheet === undefined) return; // nobody reads on
        }
      },
      () => progress.line("stopping"),
    ).finally(progress.stop);
    if (sheet !== undefined) await drawSheet(sheet, shown, { checkpoint, output, answered });
    for (const sink of sinks) await sink.finish();
  } finally {
    for (const sink of sinks) await sink.discard();
  }
  if (out !== undefined) output.note(`table of ${counted(answered, "image")}: ${out}`);
  if (minScore > 0 && reaching === 0) throw new QuietExit(EXIT.noneReach);
}

/** The table's file, and what is printed. */
async function openSinks({ json, csv: asCsv, out, minScore }: PredictFlags): Promise<AnswerSink[]> {
  const { printedJson, printedTable, printedText, tableFile } = await import("../views/prediction-output.ts");
  const sinks = out === undefined ? [] : [await tableFile(out, { minScore })];
  if (json) sinks.push(printedJson({ minScore }));
  else if (out === undefined) sinks.push(asCsv ? printedTable({ minScore }) : printedText({ minScore }));
  return sinks;
}

/** What can be wrong with the places for results, before any work. @throws ConfigError */
async function checkPlaces({ csv: asCsv, out, sheet, json }: PredictFlags): Promise<void> {
  if (asCsv && json && out === undefined) {
    throw new ConfigError("csv", "--csv and --json both print to stdout", {
      code: "options/conflict",
      hint: "Choose one, or write the table to a file: --out predictions.csv --json.",
    });
  }
  if (out !== undefined) {
    const folder = dirname(resolve(out));
    if (!((await stat(folder).catch(() => undefined))?.isDirectory() ?? false))
      throw new ConfigError("out", `--out: there is no folder ${folder}`, {
        code: "files/no-folder",
        hint: "Create it first, or choose another.",
      });
  }
  if (sheet === undefined) return;
  const { checkSheetFile } = await import("../../preview/drawing.ts");
  await checkSheetFile(resolve(sheet), "sheet");
}

async function drawSheet(
  file: string,
  results: readonly ImagePredictions[],
  { checkpoint, output, answered }: { checkpoint: string; output: Output; answered: number },
): Promise<void> {
  const { writePredictionSheet } = await import("../../preview/prediction-sheet.ts");
  const total = counted(answered, "image");
  const shown = await writePredictionSheet(resolve(file), results, {
    title: `What ${basename(resolve(checkpoint))} sees`,
    most: MOST_SHOWN,
    subtitle: answered > MOST_SHOWN ? `The first ${MOST_SHOWN} of ${total}` : total,
  });
  output.note(`sheet of ${shown === answered ? total : `${shown} of ${total}`}: ${file}`);
}

/** A commander parser: "0.5" → 0.5. */
function scoreFrom(text: string): number {
  const score = text.trim() === "" ? Number.NaN : Number(text);
  if (score >= 0 && score <= 1) return score;
  throw new ConfigError(
    "minScore",
    `--min-score: got ${JSON.stringify(text)}, expected a number from 0 to 1`,
    {
      code: "options/value",
    },
  );
}
