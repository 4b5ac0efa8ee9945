/** `deit distill`: images without classes, and a teacher that knows some: a student learns to answer as it does. */
import type { Command } from "commander";
import { Option } from "commander";
import { PROMPT } from "../teach.ts";
import { asTrainingCommand } from "../training-command.ts";
import { positiveNumber } from "../whole-number.ts";

export function addDistillCommand(program: Command): void {
  const command = program
    .command("distill")
    .description("Train a student to answer as a teacher does, on images without classes.")
    .argument("<images>", "folder of images; folders in it mean nothing")
    .optionsGroup("Teacher:")
    .option(
      "--classes <NAMES>",
      "classes to learn, with commas between: those of the teacher's (default: all), or any for a zero-shot teacher",
    )
    .option(
      "--text-embeddings <FILE>",
      "zero-shot: embeddings of the class names, .safetensors or .json; the teacher is an image encoder",
    )
    .option(
      "--text-model <DIR>",
      "zero-shot: folder of the text encoder that embeds --classes (default: the teacher's, of CLIP or SigLIP)",
    )
    .option("--prompt <TEXT>", `zero-shot: what is said of a class (default: "${PROMPT}")`)
    .addOption(
      new Option(
        "--logit-scale <N>",
        "zero-shot: factor of the cosines (default: the embeddings' own, else CLIP's 100)",
      ).argParser(positiveNumber("logit-scale")),
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
With --distillation-type feature the student learns the teacher's embedding instead, and needs no
classes: the result is the mean cosine of the two on held-out images. A teacher that embeds images
and texts (CLIP, SigLIP) gives labels for any class names, and unsure.csv with them.
Without --finetune the student starts from DeiT-Ti, as with deit finetune.

Examples:
  deit distill ./images --teacher-path teacher.onnx
  deit distill ./images --teacher-path facebook/deit-base-patch16-224 --classes "tabby,tiger cat"
  deit distill ./images --teacher-path ./clip-vit-base-patch32 --classes "cat,dog"
  deit distill ./images --teacher-path dinov2.onnx --distillation-type feature
  deit distill ./images --teacher-path runs/large --input-size 112 --labelled ./photos`;
