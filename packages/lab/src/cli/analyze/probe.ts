/** `deit analyze probe`: what frozen features are worth. */
import type { Command } from "commander";
import {
  CHECKPOINT_KINDS,
  IMAGE_FLAGS,
  MODEL_FLAGS,
  addCheckpointFlags,
  checkpointOptions,
  createOutput,
  integer,
  table,
  withProgress,
} from "deit-ts/cli";

const OPTIONS = [...IMAGE_FLAGS, ...MODEL_FLAGS] as const;

export function addProbeCommand(analyze: Command): void {
  const probe = analyze
    .command("probe")
    .description(
      "Accuracy of frozen features: k nearest neighbours and a linear probe; the model is not trained.",
    )
    .argument("<checkpoint>", CHECKPOINT_KINDS)
    .option("--json", "print the result as one JSON document");
  addCheckpointFlags(probe, OPTIONS);
  probe
    .addHelpText(
      "after",
      `
k and the strength of the penalty are chosen by cross-validation on the training
images. The result is a baseline for fine-tuning. A run is measured on the images that
it held out.

Example:
  deit analyze probe model.safetensors --data-path ./photos`,
    )
    .action(runProbe);
}

async function runProbe(checkpoint: string, flags: { json?: true }, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  const options = await checkpointOptions(command, [checkpoint], { output, names: OPTIONS });
  const { probe } = await import("../../probe.ts");
  const result = await withProgress({ output, label: "looking", unit: "images" }, (hooks) =>
    probe({ checkpoint, ...options }, hooks),
  );
  const { knn, linear, seconds } = result;
  output.result(result, () =>
    [
      `${result.model} at ${result.inputSize.join(" × ")}: ${integer(result.trainImages)} images to learn from, ${integer(result.images)} to measure with`,
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
