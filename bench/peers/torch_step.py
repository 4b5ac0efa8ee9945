"""Times PyTorch on DeiT: a forward pass under inference_mode, or a whole training step.

    echo 5 | python bench/peers/torch_step.py --task train --form sdpa

Forms: `plain` is the reference DeiT code's attention (two products and a softmax) with the default AdamW; `sdpa` is timm's
default attention with the fused AdamW; `compile` is the same through torch.compile. A training step is forward, loss of
both heads, backward and AdamW in the reference's decay groups; it has to lower the loss of its batch, else this fails.
Reads a number of seconds a line from standard input and answers each with one JSON line (peer.py).
"""
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--model", default="deit_tiny_distilled_patch16_224")
parser.add_argument("--task", choices=["train", "infer"], default="train")
parser.add_argument("--form", choices=["plain", "sdpa", "compile"], default="sdpa")
parser.add_argument("--batch-size", type=int, default=8)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()

import timm  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from peer import answer  # noqa: E402

torch.set_num_threads(args.threads)
torch.manual_seed(0)
model = timm.create_model(args.model, pretrained=False)
for block in model.blocks:
    block.attn.fused_attn = args.form != "plain"
distilled = hasattr(model, "head_dist")
size = model.patch_embed.img_size
images = torch.randn(args.batch_size, 3, *size)
labels = torch.arange(args.batch_size) * 37 % 1000
losses = []


def compiled(function):
    return torch.compile(function) if args.form == "compile" else function


if args.task == "infer":
    model.eval()
    forward = compiled(model)

    def step():
        with torch.inference_mode():
            forward(images)
else:
    model.train()
    if distilled:
        model.set_distilled_training(True)
    undecayed = {n for n, p in model.named_parameters() if p.ndim == 1 or n in ("pos_embed", "cls_token")}
    optimizer = torch.optim.AdamW([
        {"params": [p for n, p in model.named_parameters() if n not in undecayed], "weight_decay": 0.05},
        {"params": [p for n, p in model.named_parameters() if n in undecayed], "weight_decay": 0.0},
    ], lr=1e-4, fused=args.form != "plain")

    def batch_loss():
        output = model(images)
        class_logits, dist_logits = output if distilled else (output, None)
        loss = F.cross_entropy(class_logits, labels, label_smoothing=0.1)
        return 0.5 * loss + 0.5 * F.cross_entropy(dist_logits, labels) if distilled else loss

    forward = compiled(batch_loss)

    def step():
        loss = forward()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())


def check():
    if args.task == "infer":
        return
    missing = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    if missing or not losses[-1] < losses[0]:
        raise SystemExit(f"not a training step: loss {losses[0]} → {losses[-1]}, no gradient for {missing}")


answer(step, batch_size=args.batch_size, version=f"torch {torch.__version__}, timm {timm.__version__}", check=check)
