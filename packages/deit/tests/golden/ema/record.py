"""Records twenty steps of SGD with timm's ModelEmaV3 beside it.

    python -m pip install torch timm
    python tests/golden/ema/record.py

A vector of 40 weights seeded as "w" (scale 2); its gradient at step t = 1… is seeded as "w.grad.<t>" (scale 1); SGD with
momentum 0.9 (Nesterov), rate 0.05, no weight decay. Averages after steps 1, 2, 10 and 20 with a constant decay (the
reference's 0.99996, and 0.9), and with min(0.99996, (1 + t) / (10 + t)), which timm's `get_decay` is replaced by.
"""
import sys
from pathlib import Path

import torch
from timm.utils import ModelEmaV3

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import packed, seeded_tensor, versions, write  # noqa: E402

LENGTH, RATE, STEPS, RECORDED = 40, 0.05, 20, (1, 2, 10, 20)


class Weights(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(seeded_tensor("w", (LENGTH,), 0.0, 2.0))


class WarmedUp(ModelEmaV3):
    def get_decay(self, step=None):
        return min(self.decay, (1 + step) / (10 + step))


def record(make, with_step=False):
    model = Weights()
    ema = make(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, nesterov=True)
    recorded = {}
    for t in range(1, STEPS + 1):
        model.w.grad = seeded_tensor(f"w.grad.{t}", (LENGTH,), 0.0, 1.0)
        optimizer.step()
        ema.update(model, step=t if with_step else None)
        if t in RECORDED:
            recorded[str(t)] = {"weight": packed(model.w), "average": packed(ema.module.w)}
    return recorded


if __name__ == "__main__":
    write(Path(__file__).resolve().parent / "ema.json", {
        "command": "python tests/golden/ema/record.py",
        "versions": versions(),
        "length": LENGTH, "learningRate": RATE, "steps": STEPS,
        "reference": record(lambda model: ModelEmaV3(model, decay=0.99996)),
        "fast": record(lambda model: ModelEmaV3(model, decay=0.9)),
        "warmedUp": record(lambda model: WarmedUp(model, decay=0.99996), with_step=True),
    })
