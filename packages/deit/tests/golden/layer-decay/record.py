"""Records timm's parameter groups for layer-wise learning-rate decay, and ten AdamW steps with them.

    python -m pip install torch timm
    python tests/golden/layer-decay/record.py

Groups (rate's factor, whether decayed) of each parameter of deit_tiny, plain and distilled, layer decay 0.65, with the
reference's exemptions from weight decay (pos_embed, cls_token). Steps: a distilled model of width 8, depth 2, 8-pixel
images in patches of 4, parameters seeded for width 8; gradients at step s = 0… seeded as "<name>.grad.<s>".
"""
import sys
from pathlib import Path

import timm
import torch
from timm.models.deit import VisionTransformerDistilled
from timm.optim import param_groups_layer_decay

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import packed, seed_parameters, seeded_tensor, versions, write  # noqa: E402

DECAY, WEIGHT_DECAY, EXEMPT = 0.65, 0.05, ["pos_embed", "cls_token"]
RATES = [1e-6, 2e-3, 5e-3, 1e-2, 8e-3, 6e-3, 4e-3, 1e-3, 1e-4, 1e-5]
SMALL = dict(img_size=8, patch_size=4, embed_dim=8, depth=2, num_heads=2, num_classes=3)


def groups_of(model):
    return param_groups_layer_decay(model, WEIGHT_DECAY, EXEMPT, layer_decay=DECAY)


def named_groups(model):
    names = {id(p): name for name, p in model.named_parameters()}
    return {names[id(p)]: [group["lr_scale"], group["weight_decay"] > 0]
            for group in groups_of(model) for p in group["params"]}


def steps():
    model = VisionTransformerDistilled(**SMALL)
    seed_parameters(model, SMALL["embed_dim"])
    groups = groups_of(model)
    optimizer = torch.optim.AdamW(groups)
    for step, lr in enumerate(RATES):
        for group in optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        for name, parameter in model.named_parameters():
            parameter.grad = seeded_tensor(f"{name}.grad.{step}", parameter.shape, 0.0, 1.0)
        optimizer.step()
    return {name: packed(parameter) for name, parameter in model.named_parameters()}


if __name__ == "__main__":
    write(Path(__file__).resolve().parent / "layer-decay.json", {
        "command": "python tests/golden/layer-decay/record.py",
        "versions": versions(),
        "layerDecay": DECAY, "weightDecay": WEIGHT_DECAY, "exempt": EXEMPT, "learningRates": RATES,
        "plain": named_groups(timm.create_model("deit_tiny_patch16_224")),
        "distilled": named_groups(timm.create_model("deit_tiny_distilled_patch16_224")),
        "parameters": steps(),
    })
