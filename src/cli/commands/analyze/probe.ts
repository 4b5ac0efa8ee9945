/** `deit analyze probe`: what frozen features are worth. */
import type { Command } from "commander";
import { requirePictures } from "../../../config/resolve.ts";
import { CHECKPOINT_KINDS, fetchCheckpoint } from "../../fetch-checkpoint.ts";
import { integer, table } from "../../format.ts";
import { createOutput } from "../../output.ts";
import { runPictures } from "../../run-pictures.ts";
import { addSchemaFlags, givenOptions } from "../../schema-flags.ts";
import { CHECKPOINT_OPTIONS as OPTIONS } from "./options.ts";
import { withProgress } from "../../with-progress.ts";

export function addProbeCommand(analyze: Command): void {
  const probe = analyze
    .command("probe")
    .description(
      "How far frozen features go: k nearest neighbours and a linear probe; the model is not trained.",
    )
    .argument("<checkpoint>", CHECKPOINT_KINDS)
    .option("--json", "print the result as one JSON document");
  addSchemaFlags(probe, OPTIONS, { groups: false, defaults: false });
  probe
    .addHelpText(
      "after",
      `
k and the strength of the penalty are chosen by cross-validation on the training
pictures. What a fine-tuning should beat. A run is measured with the pictures that it
held back.

Example:
  deit analyze probe model.safetensors --data-path ./photos`,
    )
    .action(runProbe);
}

async function runProbe(checkpoint: string, flags: { json?: true }, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  const given = givenOptions(command, OPTIONS);
  const pictures = await runPictures([checkpoint], given);
  for (const note of pictures.notes) output.warn(note);
  const { inputSize, ...options } = { ...given, ...pictures.options };
  requirePictures(
    { dataPath: options.dataPath ?? null, dataSet: options.dataSet ?? "auto" },
    `deit analyze probe ${checkpoint} --data-path ./photos`,
  );
  await fetchCheckpoint(checkpoint);
  const { probe } = await import("../../../analysis/probe.ts");
  const result = await withProgress({ output, label: "looking", unit: "pictures" }, (hooks) =>
    probe({ checkpoint, ...options, inputSize: inputSize ?? undefined }, hooks),
  );
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
