/** `deit train`: options from a folder, a recipe and flags; then the library's train() with its events shown. */
import type { Command } from "commander";
import { asTrainingCommand } from "../training-command.ts";

export function addTrainCommand(program: Command): void {
  const command = program
    .command("train")
    .description("Train a model on a folder of images, or by a recipe.")
    .argument("[source]", "folder of images, recipe (name or file), or run folder to resume");
  asTrainingCommand(command, { help: HELP, finetuning: false });
}

const HELP = `
Given only a folder of images, deit chooses a small model, an image size and about
five minutes of training; with --finetune it chooses from the checkpoint and your
data. With a recipe or --model, DeiT's defaults apply, as shown above. Recipes
override defaults, flags override recipes. Flags may be written as in DeiT's
scripts: --data_path, --output_dir.

Runs are saved in runs/DATA-MODEL. The same command resumes its run; other options
start a new run in runs/DATA-MODEL-2, and so on. To train a run longer:
deit train RUN --epochs N. The learning rate then follows the schedule of N epochs.

--ranks 2 trains in two processes on this machine through MPI (npm install koffi, and
mpirun); mpirun -n 4 deit train … and srun work, too, on several machines. An update
takes the batches of all: docs/scaling.md.

Ctrl-C, SIGTERM and a closed terminal save the run and stop it (exit code 130);
a second Ctrl-C ends it at once. Under nohup or disown it continues when
the terminal closes. Lost output (a closed pipe, a full log disk) does not stop a run.

Examples:
  deit train ./photos                          a first try
  deit train ./photos --epochs 100 --estimate  how long would that take?
  deit train cifar10-small                     a recipe that comes with deit
  deit train runs/cifar10-small                resume it
  deit train runs/photos --epochs 200          train longer
  deit train ./photos --ranks 2                two processes
  deit train my.yaml --lr 1e-3 --print-config  which value comes from where?
  deit train --model deit_tiny_patch16_224 --data-path ./imagenet`;
