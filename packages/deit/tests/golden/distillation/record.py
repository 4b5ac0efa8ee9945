"""Records distillation losses with their gradients by both heads, as the reference computes them.

    python -m pip install torch timm
    python tests/golden/distillation/record.py

Logits [6, 7] of the class head, the distillation head and the teacher are seeded as "class", "distillation" (scale 6) and
"teacher" (scale 12); the true labels are timm's mixup of smoothed labels with λ 0.3. Classification is timm's
SoftTargetCrossEntropy; `soft` is torch's kl_div of log-softmaxes, summed and divided by all B · K elements (the
reference) or its own `batchmean`; `hard` is torch's cross_entropy with the teacher's argmax. Computed in float64.
"""
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from timm.data.mixup import mixup_target
from timm.loss import SoftTargetCrossEntropy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import number, packed, seeded_tensor, versions, write  # noqa: E402

LABELS, CLASSES, LAMBDA, SMOOTHING = [2, 0, 6, 3, 5, 2], 7, 0.3, 0.1


def teach(kind, student, teacher, targets, tau):
    if kind == "hard":
        return F.cross_entropy(student, teacher.argmax(dim=1))
    if kind == "soft-labels":
        return F.cross_entropy(student, F.softmax(teacher / tau, dim=1))
    if kind == "labels":
        return SoftTargetCrossEntropy()(student, targets)
    reduction = "sum" if kind == "soft mean" else "batchmean"
    loss = F.kl_div(F.log_softmax(student / tau, dim=1), F.log_softmax(teacher / tau, dim=1),
                    reduction=reduction, log_target=True) * tau * tau
    return loss / student.numel() if kind == "soft mean" else loss


def record(kind, head, alpha, tau, targets, true_labels=0.0):
    def logits(name, scale):
        return seeded_tensor(name, (len(LABELS), CLASSES), 0.0, scale).double().requires_grad_()
    by_class, by_token, teacher = logits("class", 6.0), logits("distillation", 6.0), logits("teacher", 12.0)
    student = by_token if head == "token" else by_class
    class_loss = SoftTargetCrossEntropy()(by_class, targets)
    taught = teach(kind, student, teacher.detach(), targets, tau)
    taught = (1 - true_labels) * taught + true_labels * SoftTargetCrossEntropy()(student, targets)
    loss = (1 - alpha) * class_loss + alpha * taught
    loss.backward()
    zeros = torch.zeros_like(by_class)
    return {
        "kind": kind, "head": head, "alpha": alpha, "tau": tau, "trueLabels": true_labels,
        "loss": number(loss), "classLoss": number(class_loss), "distillationLoss": number(taught),
        "class": packed(by_class.grad if by_class.grad is not None else zeros),
        "distillation": packed(by_token.grad if by_token.grad is not None else zeros),
    }


if __name__ == "__main__":
    targets = mixup_target(torch.tensor(LABELS), CLASSES, LAMBDA, SMOOTHING).double()
    kinds = ["hard", "soft mean", "soft batchmean", "soft-labels"]
    write(Path(__file__).resolve().parent / "distillation.json", {
        "command": "python tests/golden/distillation/record.py",
        "versions": versions(),
        "labels": LABELS, "classes": CLASSES, "lambda": LAMBDA, "smoothing": SMOOTHING,
        "cases": [
            *[record(kind, head, alpha, tau, targets)
              for kind in kinds for head in ["token", "class"] for alpha, tau in [(0.5, 1.0), (0.1, 3.0)]],
            record("labels", "token", 0.5, 1.0, targets),
            record("hard", "token", 0.5, 1.0, targets, true_labels=0.25),
        ],
    })
