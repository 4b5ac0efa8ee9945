"""Seeded tensors that tests/helpers/seeded.ts makes bit for bit, and how the recordings here are written.

Weights and inputs are a pure function of a tensor's name, so a recording holds only results.
"""
import base64
import json
import platform
from pathlib import Path

import numpy as np
import torch


def seeded_array(name, length, offset, scale):
    """offset + scale·u with u in [-0.5, 0.5): FNV-1a of the name, then one integer mix per element."""
    h = 0x811C9DC5
    for byte in name.encode("utf-8"):
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    mask = np.uint64(0xFFFFFFFF)
    x = (np.uint64(h) + np.arange(length, dtype=np.uint64) * np.uint64(0x9E3779B9)) & mask
    x ^= x >> np.uint64(16)
    x = (x * np.uint64(0x21F0AAAD)) & mask
    x ^= x >> np.uint64(15)
    x = (x * np.uint64(0x735A2D97)) & mask
    x ^= x >> np.uint64(15)
    u = x.astype(np.float64) / 2.0**32 - 0.5
    return (offset + scale * u).astype(np.float32)


def seeded_tensor(name, shape, offset=0.0, scale=1.0):
    return torch.from_numpy(seeded_array(name, int(np.prod(shape)), offset, scale)).reshape(tuple(shape))


def parameter_kind(name, shape, dim):
    """(offset, scale) of a parameter of a model of width `dim`, from its timm name and shape."""
    if name.endswith("bias"):
        return 0.0, 0.2
    if name.endswith(("cls_token", "dist_token", "pos_embed")):
        return 0.0, 0.5
    if len(shape) == 1:
        return 1.0, 0.5
    return 0.0, float(np.sqrt(12.0) * (0.05 * np.sqrt(192.0 / dim)))


@torch.no_grad()
def seed_parameters(module, dim):
    """Replaces every parameter of `module` by its seeded value."""
    for name, parameter in module.named_parameters():
        offset, scale = parameter_kind(name, parameter.shape, dim)
        parameter.copy_(seeded_tensor(name, parameter.shape, offset, scale))


def seeded_images(name, shape):
    return seeded_tensor(name, shape, 0.0, 4.0)


def sample_indices(name, length, count=4):
    """`count` flat positions in a tensor, from its name."""
    u = seeded_array(f"sample of {name}", count, 0.5, 1.0).astype(np.float64)
    return [min(length - 1, int(v * length)) for v in u]


def number(value):
    """A float32 result as the shortest text that reads back to it."""
    value = value.item() if isinstance(value, torch.Tensor) else float(value)
    return float(f"{value:.9g}")


def packed(tensor):
    """A tensor as its shape and the base64 of its little-endian float32 values."""
    array = np.ascontiguousarray(tensor.detach().numpy().astype("<f4"))
    return {"shape": list(array.shape), "float32": base64.b64encode(array.tobytes()).decode("ascii")}


def versions():
    import timm

    return {"torch": torch.__version__, "timm": timm.__version__, "python": platform.python_version()}


def write(path, value):
    """JSON with one line per entry two levels down: small, and a change shows up in a diff."""
    lines = []
    for key, entry in value.items():
        if isinstance(entry, dict) and len(entry) > 6:
            inner = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in entry.items())
            lines.append(f"{json.dumps(key)}: {{\n{inner}\n}}")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(entry, separators=(',', ':'))}")
    Path(path).write_text("{\n" + ",\n".join(lines) + "\n}\n")
