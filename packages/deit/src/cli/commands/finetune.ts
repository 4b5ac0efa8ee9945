/** `deit finetune`: the same as `deit train` from pretrained weights, with defaults that fit these and the images. */
import type { Command } from "commander";
import { asTrainingCommand } from "../training-command.ts";

export function addFinetuneCommand(program: Command): void {
  const command = program
    .command("finetune")
    .description("Fine-tune a pretrained model on a folder of images.")
    .argument("[source]", "folder of images, recipe (by name or file), or run folder to continue");
  asTrainingCommand(command, { help: HELP, finetuning: true });
}

const HELP = `
Without --finetune it starts from DeiT-Ti as its authors released it, which is fetched
once (23 MB, Hugging Face Hub); deit models --pretrained lists the others.
The model is the checkpoint's; size, epochs and class weights are chosen for the
images, the rest suits a short fine-tuning (--print-config shows it). Positions are
interpolated for another size, a plain checkpoint becomes a distilled model and back
with --model, and a head of other classes starts fresh.

Examples:
  deit finetune ./photos                            pretrained DeiT-Ti
  deit finetune ./photos --finetune runs/other      go on from a run of yours
  deit finetune ./photos --finetune facebook/deit-small-patch16-224
  deit finetune ./photos --input-size 384 --sched constant --lr 1e-5
  deit finetune ./photos --trainable head --lr 1e-3             linear probe
  deit finetune ./photos --trainable lora --lora-rank 16        low-rank adapters
  deit finetune ./photos --model deit_tiny_distilled_patch16_224 \\
    --distillation-type hard --teacher-path teacher.onnx`;
