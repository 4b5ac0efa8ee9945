/** `deit predict`: what a model sees in some pictures. */
import { Option } from "commander";
import type { Command } from "commander";
import { table } from "../format.ts";
import { coloursFor, createOutput } from "../output.ts";
import { addSchemaFlags, givenOptions } from "../schema-flags.ts";
import { wholeNumber } from "../whole-number.ts";

const OPTIONS = ["model", "device", "threads"] as const;

export function addPredictCommand(program: Command): void {
  const command = program
    .command("predict")
    .description("Name what is in pictures.")
    .argument("<checkpoint>", "a .safetensors or .onnx file, or a run folder")
    .argument("<image...>", "picture files")
    .addOption(new Option("--topk <N>", "answers per picture (default: 5)").argParser(wholeNumber("topk")))
    .option("--json", "print the result as one JSON document");
  addSchemaFlags(command, OPTIONS, { groups: false, defaults: false });
  command
    .addHelpText(
      "after",
      "\nExample:\n  deit predict runs/photos-deit_w64d4_patch4_32 cat.jpg dog.jpg --topk 3",
    )
    .action(runPredict);
}

async function runPredict(
  checkpoint: string,
  images: string[],
  flags: { topk?: number; json?: true },
  command: Command,
): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { predict } = await import("../../evaluation/predict.ts");
  const result = await predict({
    checkpoint,
    images,
    topk: flags.topk ?? 5,
    ...givenOptions(command, OPTIONS),
  });
  const { bold } = coloursFor(process.stdout);
  output.result(result, () => {
    const lines = result.map(({ image, predictions }) => {
      const rows = predictions.map(({ label, score }) => [`${(100 * score).toFixed(1)} %`, label]);
      return `${bold(image)}\n${table(rows, { right: [0] }).replaceAll(/^/gm, "  ")}`;
    });
    return lines.join("\n");
  });
}
