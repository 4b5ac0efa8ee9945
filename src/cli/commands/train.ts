/** `deit train`: options from a folder, a recipe and flags; then the library's train() with its events shown. */
import type { Command } from "commander";
import { resolveTraining } from "../train-sources.ts";
import { asTrainingCommand } from "../training-command.ts";

export function addTrainCommand(program: Command): void {
  const command = program
    .command("train")
    .description("Train a model on a folder of pictures, or by a recipe.")
    .argument("[source]", "folder of pictures, recipe (by name or file), or run folder to continue");
  asTrainingCommand(command, { help: HELP, resolve: resolveTraining });
}

const HELP = `
Given only a folder of pictures, deit picks a small model, a picture size and a
run of about five minutes. With a recipe or --model, DeiT's own defaults hold, as
shown above. A recipe beats the defaults, a flag beats the recipe. Flags may be
written as in DeiT's scripts: --data_path, --output_dir.

Examples:
  deit train ./photos                          a first try
  deit train ./photos --epochs 100 --estimate  how long would that take?
  deit train cifar10-small                     a recipe that comes with deit
  deit train runs/cifar10-small                go on where it stopped
  deit train my.yaml --lr 1e-3 --print-config  which value comes from where?
  deit train --model deit_tiny_patch16_224 --data-path ./imagenet`;
