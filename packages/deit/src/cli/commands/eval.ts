/** `deit eval`: how well checkpoints do on images: accuracy of each head, calibration, confusions; side by side. */
import { join } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import { commandLine } from "../command-line.ts";
import { describeComparison, describeReport } from "../views/evaluation-view.ts";
import { checkpointOptions, IMAGE_FLAGS, MODEL_FLAGS, PASS_FLAGS } from "../checkpoint-command.ts";
import { CHECKPOINT_KINDS } from "../fetch-checkpoint.ts";
import { createOutput } from "../output.ts";
import { makeFolder } from "../output-folder.ts";
import { addCheckpointFlags } from "../preprocessing-flags.ts";
import { wholeNumber } from "../whole-number.ts";
import { withProgress } from "../views/with-progress.ts";

const OPTIONS = [...IMAGE_FLAGS, ...MODEL_FLAGS, ...PASS_FLAGS] as const;

interface EvalFlags {
  split?: "val" | "train";
  images?: number;
  topk?: number[];
  real?: string;
  restrictClasses?: true;
  perClass?: true;
  confusions?: number;
  wrong?: number;
  confusionMatrix?: true;
  resamples?: number;
  out?: string;
  json?: true;
}

export function addEvalCommand(program: Command): void {
  const command = program
    .command("eval")
    .description(
      "Evaluate trained models: accuracy, precision, recall, F1, loss, calibration, confusions, wrong images.",
    )
    .argument("<checkpoint...>", `${CHECKPOINT_KINDS}; name=… names it`)
    .addOption(new Option("--split <NAME>", "split of the dataset (default: val)").choices(["val", "train"]))
    .option(
      "--images <N>",
      "evaluate N random images, stratified by class (default: all)",
      wholeNumber("images"),
    )
    .option("--topk <N...>", "also report top-N accuracy, besides top-1 and top-5", eachWholeNumber)
    .option("--real <FILE>", "ReaL labels of ImageNet's validation images (real.json)")
    .option("--restrict-classes", "restrict predictions to the classes of the images")
    .option("--per-class", "precision, recall and F1 of every class")
    .option(
      "--confusions <N>",
      "number of most frequent mistakes to show (default: 5)",
      wholeNumber("confusions", 0),
    )
    .option("--wrong <N>", "list N wrong images, largest loss first (--json: 20)", wholeNumber("wrong", 0))
    .option("--confusion-matrix", "include the whole confusion matrix in --json")
    .option("--resamples <N>", "bootstrap resamples (default: 2000)", wholeNumber("resamples"))
    .option("--out <DIR>", "folder for results, all predictions, the confusion matrix and an HTML page")
    .option("--json", "print the result as one JSON document");
  addCheckpointFlags(command, OPTIONS);
  command
    .addHelpText(
      "after",
      `
A run folder records which images it held out: by default these are evaluated; of
several runs, those that all of them held out. Several checkpoints are evaluated on
the same images, with the classes of the first, each with its own crop; --json then
prints { "models": [what one alone would print, …], "differences": […] }.
Class folders are matched by name, by WordNet id (ImageNet) or by number (ImageNet-V2).

Examples:
  deit eval runs/photos-deit_w64d4_patch4_32
  deit eval runs/photos-deit_w64d4_patch4_32 --data-path ./other-photos
  deit eval model.safetensors --model deit_tiny_patch16_224 --data-path ./imagenet
  deit eval facebook/deit-tiny-patch16-224 --data-path ./imagenet --input-size 288 --eval-crop-ratio 1
  deit eval plain=runs/a distilled=runs/b teacher.onnx --data-set cifar10 --out comparison`,
    )
    .action(runEval);
}

/** Mistakes that are shown when nobody says. */
const CONFUSIONS = 5;

async function runEval(checkpoints: string[], flags: EvalFlags, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  const options = await checkpointOptions(command, checkpoints, { output, names: OPTIONS });
  const { out, perClass = false } = flags;
  if (out !== undefined) await makeFolder(out); // says what is wrong before the work, not after
  const { comparisonReport, measureCheckpoints } = await import("../../evaluation/measure-checkpoints.ts");
  const { split, images, topk, real, restrictClasses, confusions = CONFUSIONS, wrong, resamples } = flags;
  const measured = await withProgress({ output, label: "evaluating", unit: "images" }, (hooks) =>
    measureCheckpoints(
      {
        checkpoints,
        ...options,
        ...(split && { split }),
        images,
        topk,
        real,
        restrictClasses,
        confusions,
        wrong,
        resamples,
      },
      hooks,
    ),
  );
  const files: string[] = [];
  if (out !== undefined) {
    const { writeEvaluation } = await import("../../report/evaluation-files.ts");
    files.push(...(await writeEvaluation(out, measured, { command: commandLine() })));
  }
  const { evaluationDocument } = await import("../../evaluation/evaluation-document.ts");
  const document = evaluationDocument(measured, {
    perClass,
    confusionMatrix: flags.confusionMatrix ?? false,
  });
  output.result(document, () => {
    const comparison = comparisonReport(measured);
    const [only] = comparison.models;
    const text =
      comparison.models.length === 1 && only !== undefined
        ? describeReport(only, { perClass, wrong })
        : describeComparison(comparison);
    if (out === undefined) return text;
    const others = files.filter((name) => name !== "index.html").join(", ");
    return `${text}\n\nWritten to ${join(out, "index.html")} and beside it: ${others}`;
  });
}

function eachWholeNumber(text: string, before: number[] = []): number[] {
  return [...before, wholeNumber("topk")(text)];
}
