"""Times PyTorch eager on DeiT: a forward pass under inference_mode, or a whole training step.

    python bench/peers/torch_step.py --task train --attention sdpa --seconds 5

`plain` is the reference DeiT code's attention (two products and a softmax) with the default AdamW; `sdpa` is timm's
default attention with the fused AdamW. A training step is forward, loss of both heads, backward and AdamW in the
reference's decay groups; it has to lower the loss of its batch, else this fails. Prints one JSON line.
"""
import argparse
import json
import statistics
import time

parser = argparse.ArgumentParser()
parser.add_argument("--model", default="deit_tiny_distilled_patch16_224")
parser.add_argument("--task", choices=["train", "infer"], default="train")
parser.add_argument("--attention", choices=["plain", "sdpa"], default="sdpa")
parser.add_argument("--batch-size", type=int, default=8)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--seconds", type=float, default=5.0)
args = parser.parse_args()

import timm  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

torch.set_num_threads(args.threads)
torch.manual_seed(0)
model = timm.create_model(args.model, pretrained=False)
for block in model.blocks:
    block.attn.fused_attn = args.attention == "sdpa"
distilled = hasattr(model, "head_dist")
size = model.patch_embed.img_size[0]
images = torch.randn(args.batch_size, 3, size, size)
labels = torch.arange(args.batch_size) * 37 % 1000


def timed(step):
    """Median seconds of `step` over args.seconds, after two steps that warm up."""
    step(), step()
    durations, end = [], time.perf_counter() + args.seconds
    while len(durations) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        durations.append(time.perf_counter() - start)
    return statistics.median(durations)


extra = {}
if args.task == "infer":
    model.eval()
    with torch.inference_mode():
        seconds = timed(lambda: model(images))
else:
    model.train()
    if distilled:
        model.set_distilled_training(True)
    undecayed = {n for n, p in model.named_parameters() if p.ndim == 1 or n in ("pos_embed", "cls_token")}
    optimizer = torch.optim.AdamW([
        {"params": [p for n, p in model.named_parameters() if n not in undecayed], "weight_decay": 0.05},
        {"params": [p for n, p in model.named_parameters() if n in undecayed], "weight_decay": 0.0},
    ], lr=1e-4, fused=args.attention == "sdpa")
    losses = []

    def step():
        output = model(images)
        class_logits, dist_logits = output if distilled else (output, None)
        loss = F.cross_entropy(class_logits, labels, label_smoothing=0.1)
        if distilled:
            loss = 0.5 * loss + 0.5 * F.cross_entropy(dist_logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    seconds = timed(step)
    missing = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    if missing or not losses[-1] < losses[0]:
        raise SystemExit(f"not a training step: loss {losses[0]} → {losses[-1]}, no gradient for {missing}")
    extra = {"steps": len(losses), "firstLoss": losses[0], "lastLoss": losses[-1]}

print(json.dumps({
    "system": f"pytorch-{args.attention}", "task": args.task, "imagesPerSecond": args.batch_size / seconds,
    "version": f"torch {torch.__version__}, timm {timm.__version__}", "threads": args.threads, **extra,
}))
