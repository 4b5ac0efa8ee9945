"""Records BCEWithLogitsLoss (mean over batch and classes) with its gradient.

    python -m pip install torch timm
    python tests/golden/bce/record.py

Logits [6, 7] are seeded as "logits" with scale 12; the last row has logits that overflow the plain formula. Targets are
timm's mixup of one-hot labels with λ 0.3, as they are (`soft`) and binarised as the reference does (`binary`: t > 0).
Computed in float64.
"""
import sys
from pathlib import Path

import torch
from timm.data.mixup import mixup_target

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import number, packed, seeded_tensor, versions, write  # noqa: E402

LABELS, CLASSES, LAMBDA = [2, 0, 6, 3, 5, 2], 7, 0.3
EXTREME = [100.0, -100.0, 700.0, -700.0, 0.0, 1e-6, 40.0]


def record(targets):
    logits = seeded_tensor("logits", (len(LABELS), CLASSES), 0.0, 12.0).double()
    logits[-1] = torch.tensor(EXTREME)
    logits.requires_grad_()
    loss = torch.nn.BCEWithLogitsLoss()(logits, targets)
    loss.backward()
    return {"targets": packed(targets), "loss": number(loss), "gradient": packed(logits.grad)}


if __name__ == "__main__":
    soft = mixup_target(torch.tensor(LABELS), CLASSES, LAMBDA, 0.0).double()
    write(Path(__file__).resolve().parent / "bce.json", {
        "command": "python tests/golden/bce/record.py",
        "versions": versions(),
        "labels": LABELS, "classes": CLASSES, "lambda": LAMBDA, "extreme": EXTREME,
        "soft": record(soft),
        "binary": record(soft.gt(0.0).double()),
    })
