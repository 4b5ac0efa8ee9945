"""Records one transformer block of timm: output, attention probabilities and all gradients.

    python -m pip install torch timm
    python tests/golden/block/record.py

Block(dim 128, 2 heads, qkv bias, LayerNorm eps 1e-6), x [2, 10, 128] seeded as "x" with scale 4, loss Σ y·dy with dy
seeded as "dy" with scale 2, parameters seeded by their names in the block. Computed in float64 from float32 values,
stored as float32. Gradients of matrices are recorded as norm, row sums and column sums, which no wrong element escapes.
`plain` has no drop-path; `dropPath` and `dropBoth` multiply each branch by the recorded per-sample factors, 0 or 1/keep.
"""
import sys
from functools import partial
from pathlib import Path

import torch
from timm.models.vision_transformer import Block
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import number, packed, seed_parameters, seeded_tensor, versions, write  # noqa: E402

DIM, HEADS, SHAPE, KEEP = 128, 2, (2, 10, 128), 0.8


class Factor(nn.Module):
    """A drop-path whose draw is given."""

    def __init__(self, factors):
        super().__init__()
        self.factors = torch.tensor(factors, dtype=torch.float64).reshape(-1, 1, 1)

    def forward(self, x):
        return x * self.factors


def record(attention_factors, mlp_factors):
    block = Block(DIM, HEADS, qkv_bias=True, norm_layer=partial(nn.LayerNorm, eps=1e-6))
    seed_parameters(block, DIM)
    block.double().train()
    block.attn.fused_attn = False
    block.drop_path1, block.drop_path2 = Factor(attention_factors), Factor(mlp_factors)

    probabilities = []
    block.attn.attn_drop.register_forward_hook(lambda _module, inputs, _output: probabilities.append(inputs[0]))
    x = seeded_tensor("x", SHAPE, 0.0, 4.0).double().requires_grad_()
    y = block(x)
    loss = (y * seeded_tensor("dy", SHAPE, 0.0, 2.0).double()).sum()
    loss.backward()

    def gradient(g):
        if g.ndim == 1:
            return {"norm": number(g.norm()), "values": packed(g)}
        return {"norm": number(g.norm()), "rowSums": packed(g.sum(1)), "columnSums": packed(g.sum(0))}

    return {
        "factors": {"attention": attention_factors, "mlp": mlp_factors},
        "loss": number(loss),
        "y": packed(y),
        "attention": packed(probabilities[0]),
        "dx": packed(x.grad),
        "gradients": {name: gradient(p.grad) for name, p in block.named_parameters()},
    }


if __name__ == "__main__":
    write(Path(__file__).resolve().parent / "block.json", {
        "command": "python tests/golden/block/record.py",
        "versions": versions(),
        "dim": DIM, "heads": HEADS, "shape": SHAPE,
        "plain": record([1.0, 1.0], [1.0, 1.0]),
        "dropPath": record([1 / KEEP, 0.0], [1 / KEEP, 1 / KEEP]),
        "dropBoth": record([0.0, 1 / KEEP], [0.0, 1 / KEEP]),
    })
