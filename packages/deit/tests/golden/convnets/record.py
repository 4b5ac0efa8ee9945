"""Records a small RegNetY of timm and a ResNet-20 for CIFAR: evaluation, one training pass, its gradients and statistics.

    python -m pip install torch timm
    python tests/golden/convnets/record.py

Weights and running statistics are seeded by their names; images "images" [4, 3, size, size] with scale 4, smoothed targets.
The loss is cross-entropy with these targets. Of each gradient the sum and the root of the sum of squares are kept, and
the first eight elements. Computed in float64. Of the RegNetY also the groups of timm's layer decay 0.75: the rate's factor
and whether decayed, of each parameter. The RegNetY is timm's RegNet class with 9 blocks of 16 to 64 channels; the
ResNet is the paper's with shortcuts of option A, written here.
"""
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from timm.models.regnet import RegNet, RegNetCfg
from timm.optim import param_groups_layer_decay
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import number, packed, seeded_tensor, versions, write  # noqa: E402

BATCH, CLASSES = 4, 5


class Block(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.extra = (width - inputs) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.extra:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra, self.extra))
        return F.relu(x + y)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*[Block(16, 16, 1) for _ in range(3)])
        self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
        self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
        self.linear = nn.Linear(64, CLASSES)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))


def kind(name, shape):
    """(offset, scale) of a seeded tensor."""
    if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
        return 1.0, 0.5
    if len(shape) == 1:
        return 0.0, 0.4
    fan_in = 1
    for length in shape[1:]:
        fan_in *= length
    return 0.0, 6.0 / fan_in ** 0.5


@torch.no_grad()
def seed(model):
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            tensor.copy_(seeded_tensor(name, tensor.shape, *kind(name, tensor.shape)).double())


def record(model, size):
    model = model.double()
    seed(model)
    images = seeded_tensor("images", (BATCH, 3, size, size), 0.0, 4.0).double()
    targets = torch.full((BATCH, CLASSES), 0.1 / CLASSES).double()
    targets[torch.arange(BATCH), torch.arange(BATCH)] += 0.9
    model.eval()
    with torch.no_grad():
        evaluated = model(images)
    model.train()
    logits = model(images)
    loss = F.cross_entropy(logits, targets)
    loss.backward()
    return {
        "size": size, "evaluated": packed(evaluated), "trained": packed(logits), "loss": number(loss),
        "gradients": {name: [number(p.grad.sum()), number(p.grad.norm()), *map(float, p.grad.flatten()[:8])]
                      for name, p in model.named_parameters()},
        "statistics": {name: packed(b) for name, b in model.named_buffers() if "running" in name
                       and (".b1." in name or name.startswith(("stem", "bn1", "layer2.0")))},
    }


def groups(model):
    names = {id(p): name for name, p in model.named_parameters()}
    return {names[id(p)]: [group["lr_scale"], group["weight_decay"] > 0]
            for group in param_groups_layer_decay(model, 0.05, layer_decay=0.75) for p in group["params"]}


if __name__ == "__main__":
    config = RegNetCfg(w0=16, wa=16.0, wm=2.0, group_size=8, depth=9, se_ratio=0.25, stem_width=8)
    model = RegNet(config, num_classes=CLASSES)
    write(Path(__file__).resolve().parent / "convnets.json", {
        "command": "python tests/golden/convnets/record.py",
        "versions": versions(), "batch": BATCH, "classes": CLASSES,
        "groups": groups(model), "regnet": record(model, 64),
        "resnet": record(ResNet20(), 16),
    })
