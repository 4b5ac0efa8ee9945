/** `deit eval`: accuracy and loss of a checkpoint on pictures, for each head. */
import { Option } from "commander";
import type { Command } from "commander";
import { requirePictures } from "../../config/resolve.ts";
import { fetchCheckpoint } from "../fetch-checkpoint.ts";
import { facts, integer, short } from "../format.ts";
import { withInterrupt } from "../interrupt.ts";
import { createOutput } from "../output.ts";
import { createProgress, rateMeter } from "../progress.ts";
import { runOptions } from "../run-options.ts";
import { inherited } from "../run-pictures.ts";
import { addSchemaFlags, givenOptions } from "../schema-flags.ts";

const PICTURES = ["dataPath", "dataSet", "valSplit", "seed"] as const;
const OPTIONS = [
  ...PICTURES,
  "model",
  "inputSize",
  "batchSize",
  "evalCropRatio",
  "device",
  "threads",
  "workers",
] as const;

export function addEvalCommand(program: Command): void {
  const command = program
    .command("eval")
    .description("Measure a trained model: top-1, top-5 and loss of each head.")
    .argument("<checkpoint>", "a .safetensors, .pth or .onnx file, a run folder, a Hub id or an address")
    .addOption(
      new Option("--split <NAME>", "which pictures of the dataset (default: val)").choices(["val", "train"]),
    )
    .option("--json", "print the result as one JSON document");
  addSchemaFlags(command, OPTIONS, { groups: false, defaults: false });
  command
    .addHelpText(
      "after",
      `
A run folder knows its pictures, and which of them it never trained on.

Examples:
  deit eval runs/photos-deit_w64d4_patch4_32
  deit eval runs/photos-deit_w64d4_patch4_32 --data-path ./other-photos
  deit eval model.safetensors --model deit_tiny_patch16_224 --data-path ./imagenet
  deit eval facebook/deit-tiny-patch16-224 --data-path ./imagenet`,
    )
    .action(runEval);
}

async function runEval(
  checkpoint: string,
  flags: { split?: "val" | "train"; json?: true },
  command: Command,
): Promise<void> {
  const output = createOutput({ json: flags.json });
  const given = givenOptions(command, OPTIONS);
  const options = { ...inherited(await runOptions(checkpoint), given), ...given };
  requirePictures(
    { dataPath: options.dataPath ?? null, dataSet: options.dataSet ?? "auto" },
    `deit eval ${checkpoint} --data-path ./photos`,
  );
  await fetchCheckpoint(checkpoint);
  const { evaluateCheckpoint } = await import("../../evaluation/evaluate.ts");
  const progress = createProgress("evaluating");
  const meter = rateMeter("images");
  const result = await withInterrupt(
    (signal) =>
      evaluateCheckpoint(
        { checkpoint, ...options, ...(flags.split && { split: flags.split }) },
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
  output.result(result, () =>
    [
      `${result.model} on ${integer(result.images)} pictures: ${percent(result)}, loss ${result.loss.toFixed(4)}`,
      facts([
        ...HEADS.flatMap(([head, name]) => {
          const figures = result.heads[head];
          return figures ? [[name, percent(figures)] as const] : [];
        }),
        ...(result.tokens
          ? [
              [
                "tokens' cosine",
                `${result.tokens.parameters.toFixed(3)} as parameters, ${result.tokens.lastLayer.toFixed(3)} after the last layer`,
              ] as const,
            ]
          : []),
        ["images/s", short(result.imagesPerSecond)],
      ]),
    ].join("\n"),
  );
}

/** What is shown of a distilled model's answers. */
const HEADS = [
  ["class", "class head"],
  ["distillation", "distillation head"],
  ["jointLogits", "both, mean of logits"],
  ["jointSoftmax", "both, sum of softmaxes"],
] as const;

function percent({ acc1, acc5 }: { acc1: number; acc5: number }): string {
  return `top-1 ${acc1.toFixed(3)} %, top-5 ${acc5.toFixed(3)} %`;
}
