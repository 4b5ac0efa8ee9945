"""Records PyTorch's convolution, batch normalisation and pooling: outputs and all gradients of small tensors.

    python -m pip install torch timm
    python tests/golden/convolution/record.py

Each tensor of a case is seeded by "<case> <its name>", with scale 4 (weight and bias 2, running_var 1 around 1); the loss
is Σ y·dy with dy seeded as "<case> dy", scale 2. `levels` rounds x to multiples of 1/2, so that maxima are tied. Computed
in float64 from float32 values, stored as float32.
"""
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import packed, seeded_tensor, versions, write  # noqa: E402

CONVOLUTIONS = {
    "same": ((2, 3, 6, 5), (4, 3, 3, 3), {"padding": 1}),
    "pointwise": ((2, 5, 4, 4), (6, 5, 1, 1), {}),
    "pointwise, stride 2": ((2, 5, 7, 8), (6, 5, 1, 1), {"stride": 2}),
    "stride 2, even": ((2, 3, 8, 8), (4, 3, 3, 3), {"stride": 2, "padding": 1}),
    "stride 2, odd": ((2, 3, 9, 7), (4, 3, 3, 3), {"stride": 2, "padding": 1}),
    "stem": ((1, 3, 16, 15), (4, 3, 7, 7), {"stride": 2, "padding": 3}),
    "stride 3, rest": ((1, 2, 10, 9), (3, 2, 3, 3), {"stride": 3}),
    "groups": ((2, 8, 5, 5), (12, 2, 3, 3), {"padding": 1, "groups": 4}),
    "groups, stride 2": ((2, 8, 6, 7), (8, 4, 3, 3), {"stride": 2, "padding": 1, "groups": 2}),
    "depthwise": ((2, 6, 5, 6), (6, 1, 3, 3), {"padding": 1, "groups": 6}),
}
POOLINGS = {
    "halves": ((2, 3, 6, 6), {"kernel": 2, "stride": 2, "padding": 0}),
    "rest": ((2, 2, 7, 5), {"kernel": 2, "stride": 2, "padding": 0}),
    "stem": ((2, 2, 8, 7), {"kernel": 3, "stride": 2, "padding": 1}),
    "overlapping": ((1, 2, 5, 6), {"kernel": 3, "stride": 1, "padding": 1}),
}


def seeded(case, name, shape, scale=4.0, offset=0.0):
    return seeded_tensor(f"{case} {name}", shape, offset, scale).double()


def record(case, inputs, forward):
    """Output and gradients by every tensor of `inputs`."""
    leaves = {name: tensor.requires_grad_() for name, tensor in inputs.items()}
    y = forward(**leaves)
    (y * seeded(case, "dy", y.shape, 2.0)).sum().backward()
    return {"y": packed(y), "gradients": {name: packed(leaf.grad) for name, leaf in leaves.items()}}


def convolution(name, shape, weight, options):
    case = f"convolution {name}"
    inputs = {
        "x": seeded(case, "x", shape),
        "weight": seeded(case, "weight", weight, 2.0),
        "bias": seeded(case, "bias", weight[:1], 2.0),
    }
    return {
        "shape": shape, "weight": weight, "options": options,
        **record(case, inputs, lambda x, weight, bias: F.conv2d(x, weight, bias, **options)),
    }


def pooling(name, shape, options, levels):
    case = f"pooling {name}"
    x = seeded(case, "x", shape)
    x = (x * 2).round() / 2 if levels else x
    arguments = dict(kernel_size=options["kernel"], stride=options["stride"], padding=options["padding"])
    return {
        "shape": shape, "options": options, "levels": levels,
        "max": record(case, {"x": x.clone()}, lambda x: F.max_pool2d(x, **arguments)),
        "average": record(case, {"x": x.clone()}, lambda x: F.avg_pool2d(x, **arguments)),
    }


def batch_norm(name, shape, training):
    case = f"batch norm {name}"
    channels = shape[1:2]
    mean, variance = seeded(case, "running_mean", channels, 2.0), seeded(case, "running_var", channels, 1.0, 1.0)
    inputs = {
        "x": seeded(case, "x", shape, 4.0, 1.0),
        "weight": seeded(case, "weight", channels, 2.0),
        "bias": seeded(case, "bias", channels, 2.0),
    }
    return {
        "shape": shape, "training": training,
        **record(case, inputs, lambda x, weight, bias: F.batch_norm(x, mean, variance, weight, bias, training, 0.1, 1e-5)),
        # After one step of momentum 0.1 when training: with the unbiased variance.
        "runningMean": packed(mean), "runningVariance": packed(variance),
    }


if __name__ == "__main__":
    write(Path(__file__).resolve().parent / "convolution.json", {
        "command": "python tests/golden/convolution/record.py",
        "versions": versions(),
        "convolution": {name: convolution(name, *case) for name, case in CONVOLUTIONS.items()},
        "pooling": {
            **{name: pooling(name, *case, False) for name, case in POOLINGS.items()},
            **{f"{name}, ties": pooling(f"{name}, ties", *case, True) for name, case in POOLINGS.items()},
        },
        "batchNorm": {
            "training": batch_norm("training", (3, 4, 5, 3), True),
            "one picture": batch_norm("one picture", (1, 3, 4, 4), True),
            "inference": batch_norm("inference", (2, 4, 3, 5), False),
        },
    })
