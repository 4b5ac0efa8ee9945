/** `deit distill`: images without classes, and a teacher that knows some: a student learns to imitate it. */
import type { Command } from "commander";
import { Option } from "commander";
import { PROMPT } from "../teach.ts";
import { asTrainingCommand } from "../training-command.ts";
import { positiveNumber } from "../whole-number.ts";

export function addDistillCommand(program: Command): void {
  const command = program
    .command("distill")
    .description("Train a student to imitate a teacher, on unlabelled images.")
    .argument("<images>", "folder of images, searched recursively; folder names are ignored")
    .optionsGroup("Teacher:")
    .option(
      "--classes <NAMES>",
      "classes to learn, separated by commas: some of the teacher's (default: all), or any for a zero-shot teacher",
    )
    .option(
      "--text-embeddings <FILE>",
      "zero-shot: embeddings of the class names, .safetensors or .json; the teacher is an image encoder",
    )
    .option(
      "--text-model <DIR>",
      "zero-shot: folder of the text encoder that embeds --classes (default: the teacher's, of CLIP or SigLIP)",
    )
    .option("--prompt <TEXT>", `zero-shot: text for a class, {} its name (default: "${PROMPT}")`)
    .addOption(
      new Option(
        "--logit-scale <N>",
        "zero-shot: factor of the cosines (default: the embeddings' own, else CLIP's 100)",
      ).argParser(positiveNumber("logit-scale")),
    )
    .option(
      "--labelled <DIR>",
      "labelled images, a folder per class: measure the accuracy of student and teacher",
    )
    .option("--labels-dir <DIR>", "folder for the teacher's labels (default: runs/IMAGES-by-TEACHER)")
    .addOption(new Option("--random-weights", "start the student from random weights"));
  asTrainingCommand(command, { help: HELP, finetuning: true, distilling: true });
}

const HELP = `
First the teacher classifies every image once, at its own image size. Its decisions become
labels, written as a dataset that deit train also reads. Then the student learns half from
these labels and half from the teacher's probabilities for every crop (--distillation-alpha).
A part of the images is held out: the result is the agreement of student and teacher there.
unsure.csv lists the images whose second class is at least a third as probable as the first,
least certain first: labelling these by hand helps most.

With --distillation-type feature the student learns the teacher's embedding instead, without
classes: the result is the mean cosine of the two embeddings on held-out images. A teacher
that embeds images and texts (CLIP, SigLIP) labels images with any class names.

Without --finetune the student starts from DeiT-Ti, as with deit finetune.

Examples:
  deit distill ./images --teacher-path teacher.onnx
  deit distill ./images --teacher-path facebook/deit-base-patch16-224 --classes "tabby,tiger cat"
  deit distill ./images --teacher-path ./clip-vit-base-patch32 --classes "cat,dog"
  deit distill ./images --teacher-path dinov2.onnx --distillation-type feature
  deit distill ./images --teacher-path runs/large --input-size 112 --labelled ./photos`;
