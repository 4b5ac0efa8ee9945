"""Small files of torch.save, for tests/formats/torch-file.slow.test.ts.

    pip install torch numpy && python tests/golden/torch-file/record.py

expected.json holds every tensor of state.pth by name: type, shape, numbers.
"""
import argparse
import json
from collections import OrderedDict
from pathlib import Path

import numpy
import torch

here = Path(__file__).parent
torch.manual_seed(3)
whole = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 7
state = OrderedDict(
    weight=torch.randn(3, 4),
    half=torch.randn(5).half(),
    bfloat16=torch.randn(5).bfloat16(),
    double=torch.randn(2, 2).double(),
    int64=torch.tensor([1, -2, 3_000_000_000]),
    uint8=torch.tensor([0, 255], dtype=torch.uint8),
    flags=torch.tensor([True, False]),
    transposed=whole.t(),
    columns=whole[:, 1:5:2],
    rows=whole[1:3],
    scalar=torch.tensor(2.5),
    empty=torch.zeros(0, 3),
    parameter=torch.nn.Parameter(torch.randn(2)),
)
torch.save(state, here / "state.pth")
torch.save(state, here / "protocol4.pth", pickle_protocol=4)
expected = {
    name: {"dtype": str(t.dtype), "shape": list(t.shape), "values": t.detach().double().ravel().tolist()}
    for name, t in state.items()
}
(here / "expected.json").write_text(json.dumps(expected))

# what DeiT's main.py saves
model = torch.nn.Sequential(torch.nn.Linear(3, 2))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
model(torch.ones(1, 3)).sum().backward()
optimizer.step()
average = OrderedDict((name, t * 0 + 1) for name, t in model.state_dict().items())
torch.save(
    {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": {"base": 1e-3, "score": numpy.float64(0.5)},
        "epoch": 7,
        "model_ema": average,
        "scaler": {},
        "args": argparse.Namespace(lr=1e-3, data=Path("/data"), device=torch.device("cpu")),
    },
    here / "checkpoint.pth",
)
torch.save(state, here / "legacy.pth", _use_new_zipfile_serialization=False)


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/pickle-was-run",)


torch.save({"model": Evil()}, here / "evil.pth")
torch.jit.script(model).save(str(here / "script.pt"))
