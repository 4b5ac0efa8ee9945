/** `deit distill`: images without classes, and a teacher that knows some: a student learns to answer as it does. */
import type { Command } from "commander";
import { Option } from "commander";
import { asTrainingCommand } from "../training-command.ts";

export function addDistillCommand(program: Command): void {
  const command = program
    .command("distill")
    .description("Train a student to answer as a teacher does, on images without classes.")
    .argument("<images>", "folder of images; folders in it mean nothing")
    .optionsGroup("Teacher:")
    .option(
      "--classes <NAMES>",
      "those of the teacher's classes to learn, with commas between (default: all)",
    )
    .option("--labelled <DIR>", "a folder of images per class: how often student and teacher are right")
    .option("--labels-dir <DIR>", "where the teacher's labels are written (default: runs/IMAGES-by-TEACHER)")
    .addOption(new Option("--random-weights", "start the student from random weights"));
  asTrainingCommand(command, { help: HELP, finetuning: true, distilling: true });
}

const HELP = `
The teacher is asked once about every image, at its own size: these decisions are labels,
written as a dataset that deit train reads, too. Then the student learns half from them
and half from the teacher's probabilities for every crop (--distillation-alpha). A part of
the images is held out: the result is how often the student agrees with its teacher there.
unsure.csv lists the images whose second class is at least a third as probable as the
first, the least sure first: labelling those by hand helps most.
Without --finetune the student starts from DeiT-Ti, as with deit finetune.

Examples:
  deit distill ./images --teacher-path teacher.onnx
  deit distill ./images --teacher-path facebook/deit-base-patch16-224 --classes "tabby,tiger cat"
  deit distill ./images --teacher-path runs/large --input-size 112 --labelled ./photos`;
