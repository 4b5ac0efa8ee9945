/** `deit analyze labels`: why hard labels teach. */
import type { Command } from "commander";
import { requirePictures } from "../../../config/resolve.ts";
import { CHECKPOINT_KINDS, fetchCheckpoint } from "../../fetch-checkpoint.ts";
import { integer, table } from "../../format.ts";
import { createOutput } from "../../output.ts";
import { runPictures } from "../../run-pictures.ts";
import { addSchemaFlags, givenOptions } from "../../schema-flags.ts";
import { wholeNumber } from "../../whole-number.ts";
import { CHECKPOINT_OPTIONS as OPTIONS } from "./options.ts";
import { withProgress } from "../../with-progress.ts";

export function addLabelsCommand(analyze: Command): void {
  const labels = analyze
    .command("labels")
    .description("How often a teacher decides otherwise on the crops and mixtures that students learn from.")
    .argument("<checkpoint>", `the teacher: ${CHECKPOINT_KINDS}`)
    .option("--views <N>", "crops of every picture (default: 10)", wholeNumber("views"))
    .option("--images <N>", "look at N pictures, by chance (default: all)", wholeNumber("images"))
    .option("--json", "print the result as one JSON document");
  addSchemaFlags(labels, OPTIONS, { groups: false, defaults: false });
  labels
    .addHelpText(
      "after",
      `
A run is measured with the pictures that it held back.

Example:
  deit analyze labels teacher.onnx --data-path ./photos`,
    )
    .action(runLabels);
}

async function runLabels(
  checkpoint: string,
  flags: { views?: number; images?: number; json?: true },
  command: Command,
): Promise<void> {
  const output = createOutput({ json: flags.json });
  const given = givenOptions(command, OPTIONS);
  const pictures = await runPictures([checkpoint], given);
  for (const note of pictures.notes) output.warn(note);
  const { inputSize, ...options } = { ...given, ...pictures.options };
  requirePictures(
    { dataPath: options.dataPath ?? null, dataSet: options.dataSet ?? "auto" },
    `deit analyze labels ${checkpoint} --data-path ./photos`,
  );
  await fetchCheckpoint(checkpoint);
  const { measureLabelStability } = await import("../../../analysis/label-stability.ts");
  const { views, images } = flags;
  const result = await withProgress({ output, label: "looking", unit: "pictures" }, (hooks) =>
    measureLabelStability(
      {
        checkpoint,
        ...options,
        inputSize: inputSize ?? undefined,
        ...(views && { views }),
        ...(images && { images }),
      },
      hooks,
    ),
  );
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
