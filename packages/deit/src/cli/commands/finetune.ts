/** `deit finetune`: the same as `deit train` from pretrained weights, with defaults that fit these and the images. */
import type { Command } from "commander";
import { asTrainingCommand } from "../training-command.ts";

export function addFinetuneCommand(program: Command): void {
  const command = program
    .command("finetune")
    .description("Fine-tune a pretrained model on a folder of images.")
    .argument("[source]", "folder of images, recipe (name or file), or run folder to resume");
  asTrainingCommand(command, { help: HELP, finetuning: true });
}

const HELP = `
Training starts from the authors' DeiT-Ti (23 MB, downloaded once from the Hugging Face
Hub) unless --finetune names other weights. The output suggests the published weights
that fit ten minutes best, with their accuracy; --minutes N uses the best that fit N
minutes. deit models --pretrained lists all: DeiT, DeiT III, DINOv2 and AugReg's vision
transformers.

Model, image size, epochs and class weights are chosen from the checkpoint and your data
(--print-config shows every option). For another image size, position embeddings are
interpolated; for other classes, the head is initialised at random. --model turns a plain
checkpoint into a distilled model, or back.

Examples:
  deit finetune ./photos                            pretrained DeiT-Ti
  deit finetune ./photos --finetune runs/other      start from your own run
  deit finetune ./photos --minutes 60               the best weights for an hour
  deit finetune ./photos --finetune facebook/deit-small-patch16-224
  deit finetune ./photos --finetune timm/deit3_small_patch16_224.fb_in22k_ft_in1k
  deit finetune ./photos --finetune vit_small_patch14_reg4_dinov2
  deit finetune ./photos --input-size 384 --sched constant --lr 1e-5
  deit finetune ./photos --trainable head --lr 1e-3             linear probe
  deit finetune ./photos --trainable lora --lora-rank 16        low-rank adapters
  deit finetune ./photos --model deit_tiny_distilled_patch16_224 \\
    --distillation-type hard --teacher-path teacher.onnx`;
