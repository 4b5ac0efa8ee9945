"""Records ten steps of torch.optim's AdamW and SGD, and gradient clipping, on a few small seeded tensors.

    python -m pip install torch timm
    python tests/golden/adamw/record.py

The parameter `name` starts as its seeded value (width 8); its gradient at step s = 0… is seeded as "<name>.grad.<s>"
with the scale recorded below (offset 0). Decay groups are the reference's: no decay for 1-D tensors, biases, pos_embed
and cls_token; dist_token is decayed. Learning rates differ at each step. head.bias has gradients of the order of eps,
cls_token has none. Recorded: parameters after steps 1, 2 and 10, moments after 10. Weight decay of SGD is coupled
(added to the gradient).
"""
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import number, packed, parameter_kind, seeded_tensor, versions, write  # noqa: E402

DIM = 8
TENSORS = {  # name: (shape, scale of its gradients)
    "cls_token": ((1, 1, DIM), 0.0),
    "pos_embed": ((1, 5, DIM), 0.1),
    "dist_token": ((1, 1, DIM), 0.5),
    "blocks.0.norm1.weight": ((DIM,), 2.0),
    "blocks.0.norm1.bias": ((DIM,), 0.01),
    "blocks.0.attn.qkv.weight": ((3 * DIM, DIM), 1.0),
    "blocks.0.attn.qkv.bias": ((3 * DIM,), 20.0),
    "head.weight": ((10, DIM), 1e-3),
    "head.bias": ((10,), 1e-7),
}
LEARNING_RATES = [1e-6, 2e-3, 5e-3, 1e-2, 8e-3, 6e-3, 4e-3, 1e-3, 1e-4, 1e-5]
WEIGHT_DECAY = 0.05
RECORDED = (1, 2, 10)


def decayed(name, shape):
    return len(shape) > 1 and not name.endswith(".bias") and name not in ("pos_embed", "cls_token")


def gradients(step):
    return {n: seeded_tensor(f"{n}.grad.{step}", shape, 0.0, scale) for n, (shape, scale) in TENSORS.items()}


def run(make, moments):
    parameters = {
        name: torch.nn.Parameter(seeded_tensor(name, shape, *parameter_kind(name, shape, DIM)))
        for name, (shape, _) in TENSORS.items()
    }
    groups = [
        {"params": [p for n, p in parameters.items() if decayed(n, p.shape) == decay], "weight_decay": wd}
        for decay, wd in ((True, WEIGHT_DECAY), (False, 0.0))
    ]
    optimizer = make(groups)
    recorded = {}
    for step, lr in enumerate(LEARNING_RATES):
        for group in optimizer.param_groups:
            group["lr"] = lr
        for name, gradient in gradients(step).items():
            parameters[name].grad = gradient
        optimizer.step()
        if step + 1 in RECORDED:
            recorded[str(step + 1)] = {name: packed(p) for name, p in parameters.items()}
    return {
        "parameters": recorded,
        "moments": {key: {n: packed(optimizer.state[p][key]) for n, p in parameters.items()} for key in moments},
    }


def clip(max_norm, factor):
    """Clipping of step 0's gradients, all multiplied by `factor` before."""
    parameters = []
    for gradient in gradients(0).values():
        parameter = torch.nn.Parameter(torch.zeros_like(gradient))
        parameter.grad = gradient * factor
        parameters.append(parameter)
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    return {
        "maxNorm": max_norm, "factor": factor, "norm": number(norm),
        "clipped": {name: packed(p.grad) for name, p in zip(TENSORS, parameters)},
    }


if __name__ == "__main__":
    def sgd(nesterov):
        return run(lambda groups: torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=nesterov), ["momentum_buffer"])

    write(Path(__file__).resolve().parent / "optimizers.json", {
        "command": "python tests/golden/adamw/record.py",
        "versions": versions(),
        "dim": DIM,
        "weightDecay": WEIGHT_DECAY, "learningRates": LEARNING_RATES,
        "tensors": {n: {"shape": s, "decay": decayed(n, s), "gradientScale": g} for n, (s, g) in TENSORS.items()},
        "adamw": {"betas": [0.9, 0.999], "eps": 1e-8, **run(
            lambda groups: torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.999), eps=1e-8), ["exp_avg", "exp_avg_sq"])},
        "sgd": {"momentum": 0.9, "nesterov": False, **sgd(False)},
        "sgdNesterov": {"momentum": 0.9, "nesterov": True, **sgd(True)},
        "clipping": {"above": clip(1.0, 1.0), "below": clip(1000.0, 1.0), "slightly": clip(50.0, 1.0), "zero": clip(1.0, 0.0)},
    })
