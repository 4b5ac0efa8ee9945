"""Records ten training steps of a small distilled DeiT of timm, and parameter counts of the small models.

    python -m pip install torch timm
    python tests/golden/training/record.py

VisionTransformerDistilled(img 32, patch 4, dim 64, depth 4, heads 2, mlp 4, 10 classes, LayerNorm eps 1e-6, no
drop-path), parameters seeded by name. Step s = 0…9: images seeded as "images.<s>" [16, 3, 32, 32] with scale 4, labels
(37·b + 11·s) mod 10, loss ½·CE(class head, labels smoothed by 0.1) + ½·CE(distillation head, labels), AdamW lr 1e-3,
weight decay 0.05 in the reference's groups (dist_token decayed). The float64 entry is the same run in float64: the
distance between the two is the scale of a fair tolerance.
"""
import json
import sys
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import number, packed, sample_indices, seed_parameters, seeded_images, versions, write  # noqa: E402

here = Path(__file__).resolve().parent
BATCH, CLASSES, STEPS, LR, WEIGHT_DECAY, SMOOTHING = 16, 10, 10, 1e-3, 0.05, 0.1


def small_deit(dim, depth, classes, distilled):
    return (VisionTransformerDistilled if distilled else VisionTransformer)(
        img_size=32, patch_size=4, embed_dim=dim, depth=depth, num_heads=dim // 32, mlp_ratio=4, qkv_bias=True,
        num_classes=classes, norm_layer=partial(nn.LayerNorm, eps=1e-6))


def decayed(name, parameter):
    return parameter.ndim > 1 and not name.endswith(".bias") and name not in ("pos_embed", "cls_token")


def train(dtype):
    model = small_deit(64, 4, CLASSES, distilled=True)
    model.set_distilled_training(True)
    for block in model.blocks:
        block.attn.fused_attn = False
    seed_parameters(model, 64)
    model.to(dtype).train()
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.AdamW([
        {"params": [p for n, p in model.named_parameters() if decayed(n, p)], "weight_decay": WEIGHT_DECAY},
        {"params": [p for n, p in model.named_parameters() if not decayed(n, p)], "weight_decay": 0.0},
    ], lr=LR, betas=(0.9, 0.999), eps=1e-8)
    losses, gradient_norms = [], []
    for step in range(STEPS):
        images = seeded_images(f"images.{step}", (BATCH, 3, 32, 32)).to(dtype)
        labels = torch.tensor([(37 * b + 11 * step) % CLASSES for b in range(BATCH)])
        class_logits, dist_logits = model(images)
        class_loss = F.cross_entropy(class_logits, labels, label_smoothing=SMOOTHING)
        dist_loss = F.cross_entropy(dist_logits, labels)
        loss = 0.5 * class_loss + 0.5 * dist_loss
        optimizer.zero_grad()
        loss.backward()
        gradient_norms.append(number(torch.sqrt(sum(p.grad.square().sum() for p in model.parameters()))))
        optimizer.step()
        losses.append({"loss": number(loss), "class": number(class_loss), "distillation": number(dist_loss)})
    tensors = {}
    for name, p in model.named_parameters():
        at = sample_indices(name, p.numel())
        tensors[name] = {
            "decay": decayed(name, p), "norm": number(p.norm()), "moved": number((p - start[name]).norm()),
            "at": at, "values": [number(p.flatten()[i]) for i in at],
        }
    model.eval()
    with torch.no_grad():
        logits = model(seeded_images("images.0", (BATCH, 3, 32, 32)).to(dtype))
    return {"losses": losses, "gradientNorms": gradient_norms, "tensors": tensors, "evalLogits": packed(logits)}


def counts():
    return {
        f"{dim}x{depth} {classes} classes {'distilled' if distilled else 'plain'}":
            sum(p.numel() for p in small_deit(dim, depth, classes, distilled).parameters())
        for dim, depth in ((64, 4), (96, 6), (128, 6), (192, 6)) for classes in (10, 100) for distilled in (False, True)
    }


if __name__ == "__main__":
    torch.set_num_threads(2)
    run, exact = train(torch.float32), train(torch.float64)
    write(here / "ten-steps.json", {
        "command": "python tests/golden/training/record.py",
        "versions": versions(),
        "batchSize": BATCH, "classes": CLASSES, "lr": LR, "weightDecay": WEIGHT_DECAY, "smoothing": SMOOTHING,
        "losses": run["losses"], "gradientNorms": run["gradientNorms"],
        "evalLogits": run["evalLogits"],
        "tensors": run["tensors"],
        "float64": {"losses": exact["losses"], "gradientNorms": exact["gradientNorms"], "tensors": exact["tensors"],
                    "evalLogits": exact["evalLogits"]},
    })
    (here / "parameter-counts.json").write_text(json.dumps(counts(), indent=1) + "\n")
    for a, b in zip(run["losses"], exact["losses"]):
        print(a["loss"], b["loss"])
    print("largest relative difference of `moved`:", max(
        abs(run["tensors"][n]["moved"] / t["moved"] - 1) for n, t in exact["tensors"].items()))
