/** `deit analyze labels`: why hard labels teach. */
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
  wholeNumber,
  withProgress,
} from "deit-ts/cli";

const OPTIONS = [...IMAGE_FLAGS, ...MODEL_FLAGS] as const;

export function addLabelsCommand(analyze: Command): void {
  const labels = analyze
    .command("labels")
    .description(
      "How often a teacher changes its decision on the crops and mixtures that students learn from.",
    )
    .argument("<checkpoint>", `the teacher: ${CHECKPOINT_KINDS}`)
    .option("--views <N>", "crops of every image (default: 10)", wholeNumber("views"))
    .option("--images <N>", "use N random images (default: all)", wholeNumber("images"))
    .option("--json", "print the result as one JSON document");
  addCheckpointFlags(labels, OPTIONS);
  labels
    .addHelpText(
      "after",
      `
A run is measured on the images that it held out.

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
  const options = await checkpointOptions(command, [checkpoint], { output, names: OPTIONS });
  const { measureLabelStability } = await import("../../label-stability.ts");
  const { views, images } = flags;
  const result = await withProgress({ output, label: "looking", unit: "images" }, (hooks) =>
    measureLabelStability(
      {
        checkpoint,
        ...options,
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
      `${result.model} on ${integer(result.images)} images`,
      table(
        [
          ["view", "other label than the whole image", "not the true label", "images with a change"],
          ...result.views.map((row) => [
            row.view,
            rate(row.changed),
            rate(row.wrong),
            rate(row.imagesChanged),
          ]),
        ],
        right,
      ),
      table(
        [
          ["two images mixed", "label of the larger part", "of the smaller", "of neither"],
          ...result.mixes.map((row) => [row.mix, rate(row.larger), rate(row.smaller), rate(row.neither)]),
        ],
        right,
      ),
    ].join("\n\n");
  });
}
