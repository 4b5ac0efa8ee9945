"""Records torch.amp.GradScaler with SGD: its scale, and the weights, over steps of which some overflow.

    python -m pip install torch
    python tests/golden/loss-scale/record.py

A vector of 6 weights seeded as "w" (scale 2); the gradient at step t = 0… is seeded as "w.grad.<t>" (scale 1); at the
steps below one element of it is infinite or NaN. SGD with Nesterov momentum 0.9, rate 0.05. The scaler starts at 65536,
doubles after 4 good steps in a row (2000 by default) and halves at an overflow. Recorded: the scale after every step, the
weights after the last one.
"""
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import packed, seeded_tensor, versions, write  # noqa: E402

LENGTH, RATE, STEPS, INTERVAL = 6, 0.05, 24, 4
INFINITE, NAN = [0, 5, 6, 15], [16]

if __name__ == "__main__":
    weight = torch.nn.Parameter(seeded_tensor("w", (LENGTH,), 0.0, 2.0))
    optimizer = torch.optim.SGD([weight], lr=RATE, momentum=0.9, nesterov=True)
    scaler = torch.amp.GradScaler("cpu", growth_interval=INTERVAL)
    scales = []
    for t in range(STEPS):
        gradient = seeded_tensor(f"w.grad.{t}", (LENGTH,), 0.0, 1.0)
        if t in INFINITE:
            gradient[2] = float("inf")
        if t in NAN:
            gradient[3] = float("nan")
        scaler.scale((weight * gradient).sum())  # makes the scale
        weight.grad = gradient * scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
    write(Path(__file__).resolve().parent / "loss-scale.json", {
        "command": "python tests/golden/loss-scale/record.py",
        "versions": versions(),
        "length": LENGTH, "learningRate": RATE, "interval": INTERVAL, "infinite": INFINITE, "nan": NAN,
        "scales": scales,
        "weight": packed(weight),
    })
