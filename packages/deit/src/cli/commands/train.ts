/** `deit train`: options from a folder, a recipe and flags; then the library's train() with its events shown. */
import type { Command } from "commander";
import { asTrainingCommand } from "../training-command.ts";

export function addTrainCommand(program: Command): void {
  const command = program
    .command("train")
    .description("Train a model on a folder of images, or by a recipe.")
    .argument("[source]", "folder of images, recipe (by name or file), or run folder to continue");
  asTrainingCommand(command, { help: HELP, finetuning: false });
}

const HELP = `
Given only a folder of images, deit picks a small model, an image size and a run
of about five minutes; with --finetune, what suits checkpoint and images. With a
recipe or --model, DeiT's own defaults hold, as shown above. A recipe beats the
defaults, a flag beats the recipe. Flags may be written as in DeiT's scripts:
--data_path, --output_dir.

Runs go to runs/DATA-MODEL. The same command resumes its run; a run of other
options goes to runs/DATA-MODEL-2, and so on. A run is trained longer with
deit train RUN --epochs N: the learning rate follows the schedule of N epochs
from there on.

Ctrl-C, SIGTERM and a closed terminal save the run and stop it (exit code 130);
a second Ctrl-C ends it at once. Under nohup or disown it goes on when the
terminal closes. Lost output (a closed pipe, a full log disk) stops nothing.

Examples:
  deit train ./photos                          a first try
  deit train ./photos --epochs 100 --estimate  how long would that take?
  deit train cifar10-small                     a recipe that comes with deit
  deit train runs/cifar10-small                go on where it stopped
  deit train runs/photos --epochs 200          train longer
  deit train my.yaml --lr 1e-3 --print-config  which value comes from where?
  deit train --model deit_tiny_patch16_224 --data-path ./imagenet`;
