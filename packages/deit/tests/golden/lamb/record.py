"""Records ten steps of timm's Lamb on the tensors of tests/golden/adamw/record.py.

    python -m pip install torch timm
    python tests/golden/lamb/record.py

Parameters, gradients, learning rates, weight decay and groups as there; max_grad_norm None, as clipping comes before and is
tested by itself, and always_adapt False, as apex's FusedLAMB with use_nvlamb False. Recorded: parameters after steps 1, 2
and 10, moments after 10.
"""
import importlib.util
import sys
from pathlib import Path

from timm.optim import Lamb

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent))
from seeded import versions, write  # noqa: E402

spec = importlib.util.spec_from_file_location("adamw", here.parent / "adamw" / "record.py")
adamw = importlib.util.module_from_spec(spec)
spec.loader.exec_module(adamw)

if __name__ == "__main__":
    make = lambda groups: Lamb(groups, lr=1.0, betas=(0.9, 0.999), eps=1e-8, max_grad_norm=None)  # noqa: E731
    write(here / "lamb.json", {
        "command": "python tests/golden/lamb/record.py", "versions": versions(),
        "lamb": adamw.run(make, ("exp_avg", "exp_avg_sq")),
    })
