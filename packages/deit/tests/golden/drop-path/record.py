"""Records drop-path factors for given uniform draws.

    python -m pip install torch timm
    python tests/golden/drop-path/record.py

The reference pins timm 0.3.2, whose drop_path is copied below (today's draws by `bernoulli_`, which keeps a sample with the
same probability but from another comparison). Rates are timm's of depth 12 and 0.1, each branch twice; draws are seeded as
"draws", with some put beside the thresholds. Computed in float64.
"""
import sys
from pathlib import Path
from unittest import mock

import torch
from timm.layers import calculate_drop_path_rates

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import packed, seeded_tensor, versions, write  # noqa: E402

BATCH, DEPTH, RATE = 32, 12, 0.3


def drop_path_032(x, drop_prob):
    """timm 0.3.2, timm/models/layers/drop.py, in training."""
    if drop_prob == 0.0:
        return x
    keep_prob = 1 - drop_prob
    shape = (x.shape[0],) + (1,) * (x.ndim - 1)
    random_tensor = keep_prob + torch.rand(shape, dtype=x.dtype, device=x.device)
    random_tensor.floor_()
    return x.div(keep_prob) * random_tensor


if __name__ == "__main__":
    rates = [rate for rate in calculate_drop_path_rates(RATE, DEPTH) for _ in range(2)]
    draws = seeded_tensor("draws", (2 * DEPTH, BATCH), 0.5, 1.0).double()
    for branch, rate in enumerate(rates):
        draws[branch, :2] = torch.tensor([max(rate - 1e-6, 0.0), rate + 1e-6])
    factors = []
    for branch, rate in enumerate(rates):
        with mock.patch.object(torch, "rand", lambda shape, **_: draws[branch].clone().reshape(shape)):
            factors.append(drop_path_032(torch.ones(BATCH, 1, 1, dtype=torch.float64), rate).reshape(-1))
    write(Path(__file__).resolve().parent / "drop-path.json", {
        "command": "python tests/golden/drop-path/record.py",
        "versions": versions(),
        "batchSize": BATCH, "depth": DEPTH, "rate": RATE,
        "factors": packed(torch.stack(factors)),
    })
