"""Records feature distillation with its gradients, as PyTorch computes it.

    python -m pip install torch timm
    python tests/golden/distillation/record_feature.py

A token [6, 4] ("token", scale 3) goes through a linear layer to width 5 ("weight", "bias"); the teacher's embedding is
[6, 5] ("embedding", scale 8). Logits [6, 7] of both heads and the true labels are those of record.py. The loss is
(1 − α) · cross-entropy with the labels (with a distillation token: the mean of both heads') + α · (1 − cosine_similarity),
mean over the batch. Computed in float64.
"""
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from timm.data.mixup import mixup_target
from timm.loss import SoftTargetCrossEntropy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from record import CLASSES, LABELS, LAMBDA, SMOOTHING  # noqa: E402
from seeded import number, packed, seeded_tensor, versions, write  # noqa: E402

BATCH, FEATURES, WIDTH = len(LABELS), 4, 5


def record(head, alpha, targets):
    def seeded(name, shape, scale):
        return seeded_tensor(name, shape, 0.0, scale).double().requires_grad_()
    by_class, by_token = (seeded(name, (BATCH, CLASSES), 6.0) for name in ["class", "distillation"])
    token, weight, bias = seeded("token", (BATCH, FEATURES), 3.0), seeded("weight", (WIDTH, FEATURES), 1.0), seeded("bias", (WIDTH,), 0.2)
    teacher = seeded("embedding", (BATCH, WIDTH), 8.0).detach()
    label_loss = SoftTargetCrossEntropy()
    class_loss = label_loss(by_class, targets)
    if head == "token":
        class_loss = (class_loss + label_loss(by_token, targets)) / 2
    taught = (1 - F.cosine_similarity(F.linear(token, weight, bias), teacher, dim=1)).mean()
    loss = (1 - alpha) * class_loss + alpha * taught
    loss.backward()
    return {
        "head": head, "alpha": alpha,
        "loss": number(loss), "class_loss": number(class_loss), "distillation_loss": number(taught),
        "class": packed(by_class.grad),
        "distillation": packed(by_token.grad if by_token.grad is not None else torch.zeros_like(by_token)),
        "token": packed(token.grad), "weight": packed(weight.grad), "bias": packed(bias.grad),
    }


if __name__ == "__main__":
    targets = mixup_target(torch.tensor(LABELS), CLASSES, LAMBDA, SMOOTHING).double()
    write(Path(__file__).resolve().parent / "feature.json", {
        "command": "python tests/golden/distillation/record_feature.py",
        "versions": versions(),
        "labels": LABELS, "classes": CLASSES, "lambda": LAMBDA, "smoothing": SMOOTHING,
        "features": FEATURES, "width": WIDTH,
        "cases": [record("token", 0.5, targets), record("class", 0.9, targets), record("class", 1.0, targets)],
    })
