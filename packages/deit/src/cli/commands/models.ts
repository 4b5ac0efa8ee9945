/** `deit models`: the registered models, and the weights that are released for them. */
import type { Command } from "commander";
import { didYouMean } from "../../config/names.ts";
import { ConfigError } from "../../errors.ts";
import { facts, integer, table } from "../views/text-format.ts";
import { coloursFor, createOutput } from "../output.ts";

export function addModelsCommand(program: Command): void {
  program
    .command("models")
    .description("List models, or their pretrained weights.")
    .argument("[pattern]", "only names that contain this; * matches anything")
    .option(
      "--pretrained",
      "list pretrained weights: published accuracy, size, source, and whether they are on this machine",
    )
    .option("--json", "print the result as one JSON document")
    .addHelpText(
      "after",
      "\nExamples:\n  deit models\n  deit models 'deit_*distilled*224'\n  deit models --pretrained",
    )
    .action(runModels);
}

async function runModels(
  pattern: string | undefined,
  flags: { pretrained?: true; json?: true },
): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { listModels } = await import("../../models/registry.ts");
  const models = listModels(pattern);
  if (models.length === 0 && pattern !== undefined) {
    const names = listModels().map(({ name }) => name);
    throw new ConfigError("pattern", `no model's name matches ${pattern}`, {
      code: "model/unknown-name",
      hint: didYouMean(pattern, names) || "deit models lists them all.",
    });
  }
  if (flags.pretrained) {
    const weights = await releasedWeights(models.map(({ name }) => name));
    if (weights.length === 0) {
      throw new ConfigError("pattern", `there are no pretrained weights for ${pattern}`, {
        code: "model/unknown-name",
        hint: "deit models --pretrained lists those that are.",
      });
    }
    output.result(weights, () => describeWeights(weights));
    return;
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

/** What `deit models --pretrained --json` prints for each. */
interface ReleasedWeights {
  readonly name: string;
  readonly model: string;
  /** Published by `source`, on ImageNet's validation set, percent; null where it is not. */
  readonly acc1: number;
  readonly acc5: number | null;
  readonly inputSize: number;
  readonly source: string;
  /** What was measured, and what the weights were made from, where that is not the file's classifier and ImageNet-1k alone. */
  readonly measured: string | null;
  readonly data: string | null;
  readonly role: "student" | "teacher" | "features";
  /** Of float32 weights; files are a little larger. */
  readonly bytes: number;
  readonly url: string;
  readonly hubIds: readonly string[];
  /** Their files on this machine. */
  readonly here: readonly string[];
}

async function releasedWeights(names: readonly string[]): Promise<ReleasedWeights[]> {
  const { PRETRAINED } = await import("../../models/pretrained.ts");
  const { createModel } = await import("../../models/registry.ts");
  const { sizeOf } = await import("../../graph/shape.ts");
  const { findCheckpoint } = await import("../../evaluation/checkpoints/locate-checkpoint.ts");
  return Promise.all(
    PRETRAINED.filter(({ model }) => names.includes(model)).map(async (weights) => {
      const { name, model, acc1, acc5 = null, inputSize, source, url, hubIds, role = "student" } = weights;
      const { measured = null, data = null } = weights;
      const numbers = createModel(model).parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
      const found = await Promise.all([...hubIds, url].map(findCheckpoint));
      const here = found.filter((file) => file !== undefined);
      const figures = { acc1, acc5, inputSize, source, measured, data };
      return { name, model, ...figures, role, bytes: 4 * numbers, url, hubIds, here };
    }),
  );
}

function describeWeights(weights: readonly ReleasedWeights[]): string {
  const { bold, dim, green } = coloursFor(process.stdout);
  const blocks = weights.map(
    ({ name, acc1, acc5, inputSize, source, measured, data, role, bytes, ...places }) => {
      const { url, hubIds, here } = places;
      const figures = [
        `top-1 ${acc1.toFixed(1)} %`,
        ...(acc5 === null ? [] : [`top-5 ${acc5.toFixed(1)} %`]),
      ];
      const what = measured === null ? "" : `, ${measured}`;
      return [
        `${bold(name)}${{ teacher: "  the teacher", features: "  features, no classifier", student: "" }[role]}`,
        facts([
          ["ImageNet", `${figures.join(", ")}, at ${inputSize} pixels${what} (${source})`],
          ...(data === null ? [] : [["trained on", data] as const]),
          ["size", `${Math.round(bytes / 1e6)} MB`],
          ["on the Hub", hubIds.join(", ")],
          ["file", url],
          ...here.map((file, i) => [i === 0 ? "here" : "", file] as const),
        ]),
      ].join("\n");
    },
  );
  const there = weights.filter(({ here }) => here.length > 0).length;
  return [
    ...blocks,
    `${dim("A Hub id or a URL can stand for any checkpoint, and is downloaded once:")}\n  deit finetune ./photos --finetune facebook/deit-small-patch16-224`,
    there > 0 ? green(`${there} of ${weights.length} are on this machine.`) : "None is on this machine yet.",
  ].join("\n\n");
}
