/** `deit analyze`: what the paper looks at beside accuracy. */
import type { Command } from "commander";
import { requirePictures } from "../../config/resolve.ts";
import { integer, table } from "../format.ts";
import { withInterrupt } from "../interrupt.ts";
import { createOutput } from "../output.ts";
import { createProgress, rateMeter } from "../progress.ts";
import { addSchemaFlags, givenOptions } from "../schema-flags.ts";
import { wholeNumber } from "../whole-number.ts";

const OPTIONS = [
  "dataPath",
  "dataSet",
  "valSplit",
  "seed",
  "model",
  "inputSize",
  "device",
  "threads",
] as const;

export function addAnalyzeCommand(program: Command): void {
  const analyze = program
    .command("analyze")
    .description(
      "Look at models as the paper does: labels (why hard labels teach), probe (what features are worth).",
    );
  const labels = analyze
    .command("labels")
    .description("How often a teacher decides otherwise on the crops and mixtures that students learn from.")
    .argument("<checkpoint>", "the teacher: a .safetensors or .onnx file, or a run folder")
    .option("--views <N>", "crops of every picture (default: 10)", wholeNumber("views"))
    .option("--images <N>", "look at N pictures, by chance (default: all)", wholeNumber("images"))
    .option("--json", "print the result as one JSON document");
  addSchemaFlags(labels, OPTIONS, { groups: false, defaults: false });
  labels
    .addHelpText(
      "after",
      `
Example:
  deit analyze labels teacher.onnx --data-path ./photos`,
    )
    .action(runLabels);
  const probe = analyze
    .command("probe")
    .description("How far frozen features go: k nearest neighbours and a linear probe, in seconds.")
    .argument("<checkpoint>", "a .safetensors file or a run folder")
    .option("--json", "print the result as one JSON document");
  addSchemaFlags(probe, OPTIONS, { groups: false, defaults: false });
  probe
    .addHelpText(
      "after",
      `
k and the strength of the penalty are chosen by cross-validation on the training
pictures. What a fine-tuning should beat.

Example:
  deit analyze probe model.safetensors --data-path ./photos`,
    )
    .action(runProbe);
}

async function runProbe(checkpoint: string, flags: { json?: true }, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { inputSize, ...given } = givenOptions(command, OPTIONS);
  requirePictures(
    { dataPath: given.dataPath ?? null, dataSet: given.dataSet ?? "auto" },
    `deit analyze probe ${checkpoint} --data-path ./photos`,
  );
  const { probe } = await import("../../analysis/probe.ts");
  const progress = createProgress("looking");
  const meter = rateMeter("pictures");
  const result = await withInterrupt(
    (signal) =>
      probe(
        { checkpoint, ...given, inputSize: inputSize ?? undefined },
        {
          signal,
          onEvent(event) {
            if (event.type === "warning") output.warn(event.message);
            else progress.update(event.done, event.total, meter(event.done, event.total));
          },
        },
      ),
    () => progress.line("stopping"),
  ).finally(progress.stop);
  const { knn, linear, seconds } = result;
  output.result(result, () =>
    [
      `${result.model} at ${result.inputSize.join(" × ")}: ${integer(result.trainImages)} pictures to learn from, ${integer(result.images)} to measure with`,
      table(
        [
          ["", "top-1", "top-5", "setting", "seconds"],
          ["nearest neighbours", `${knn.acc1.toFixed(2)} %`, "", `k = ${knn.k}`, seconds.knn.toFixed(1)],
          [
            "linear probe",
            `${linear.acc1.toFixed(2)} %`,
            `${linear.acc5.toFixed(2)} %`,
            `λ = ${linear.l2}`,
            seconds.linear.toFixed(1),
          ],
          ["features of both", "", "", "", seconds.features.toFixed(1)],
        ],
        { right: [1, 2, 4] },
      ),
    ].join("\n\n"),
  );
}

async function runLabels(
  checkpoint: string,
  flags: { views?: number; images?: number; json?: true },
  command: Command,
): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { inputSize, ...given } = givenOptions(command, OPTIONS);
  requirePictures(
    { dataPath: given.dataPath ?? null, dataSet: given.dataSet ?? "auto" },
    `deit analyze labels ${checkpoint} --data-path ./photos`,
  );
  const { measureLabelStability } = await import("../../analysis/label-stability.ts");
  const progress = createProgress("looking");
  const meter = rateMeter("pictures");
  const { views, images } = flags;
  const result = await withInterrupt(
    (signal) =>
      measureLabelStability(
        {
          checkpoint,
          ...given,
          inputSize: inputSize ?? undefined,
          ...(views && { views }),
          ...(images && { images }),
        },
        {
          signal,
          onEvent(event) {
            if (event.type === "warning") output.warn(event.message);
            else progress.update(event.done, event.total, meter(event.done, event.total));
          },
        },
      ),
    () => progress.line("stopping"),
  ).finally(progress.stop);
  output.result(result, () => {
    const rate = (share: number): string => `${(100 * share).toFixed(1)} %`;
    const right = { right: [1, 2, 3] };
    return [
      `${result.model} on ${integer(result.images)} pictures`,
      table(
        [
          ["view", "other label than the whole picture", "not the true label", "pictures with a change"],
          ...result.views.map((row) => [row.view, rate(row.changed), rate(row.wrong), rate(row.pictures)]),
        ],
        right,
      ),
      table(
        [
          ["two pictures mixed", "label of the larger part", "of the smaller", "of neither"],
          ...result.mixes.map((row) => [row.mix, rate(row.larger), rate(row.smaller), rate(row.neither)]),
        ],
        right,
      ),
    ].join("\n\n");
  });
}
