/** `deit models`: the registered models. */
import type { Command } from "commander";
import { didYouMean } from "../../config/names.ts";
import { ConfigError } from "../../errors.ts";
import { integer, table } from "../format.ts";
import { createOutput } from "../output.ts";

export function addModelsCommand(program: Command): void {
  program
    .command("models")
    .description("List the models.")
    .argument("[pattern]", "only names with this in them; * stands for anything")
    .option("--json", "print the result as one JSON document")
    .addHelpText("after", "\nExamples:\n  deit models\n  deit models 'deit_*distilled*224'")
    .action(runModels);
}

async function runModels(pattern: string | undefined, flags: { json?: true }): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { listModels } = await import("../../models/registry.ts");
  const models = listModels(pattern);
  if (models.length === 0 && pattern !== undefined) {
    const names = listModels().map(({ name }) => name);
    throw new ConfigError("pattern", `no model's name matches ${pattern}`, {
      hint: didYouMean(pattern, names) || "deit models lists them all.",
    });
  }
  const rows = models.map(({ name, parameters, gmacs, inputSize, numClasses, distilled }) => [
    name,
    integer(parameters),
    gmacs.toFixed(gmacs < 0.1 ? 3 : 2),
    inputSize.join("×"),
    integer(numClasses),
    distilled ? "class, distillation" : "class",
  ]);
  const head = ["model", "parameters", "GMACs", "pixels", "classes", "heads"];
  output.result(models, () => table([head, ...rows], { right: [1, 2, 3, 4] }));
}
