"""Records a small vision transformer with dropout of given masks: logits and all gradients.

    python -m pip install torch timm
    python tests/golden/dropout/record.py

Width 16, depth 2, 2 heads, 8-pixel images in patches of 4, 3 classes, batch 2; parameters seeded for width 16, images
seeded as "images" (scale 4), loss Σ logits·dy with dy seeded as "dy" (scale 2). Dropout 0.2 after positions, the
projection of attention, GELU and the second layer of each MLP; 0.3 of attention's probabilities. An element is kept where
the seeded array "dropout.<site>" (offset 0.5, scale 1) is at least the rate. Its layout is ours: tokens first, [N, B, D],
attention [B, heads, queries, N]; in the last block of the class token alone, which alone is read. Computed in float64.
"""
import sys
from functools import partial
from pathlib import Path

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import packed, seed_parameters, seeded_tensor, versions, write  # noqa: E402

DIM, DEPTH, HEADS, BATCH, TOKENS, CLASSES, DROP, ATTENTION_DROP = 16, 2, 2, 2, 5, 3, 0.2, 0.3


class Masked(nn.Module):
    """A dropout whose draw is given; tokens beyond those of the mask are kept."""

    def __init__(self, site, width, tokens, rate):
        super().__init__()
        mask = (seeded_tensor(f"dropout.{site}", (tokens, BATCH, width), 0.5, 1.0) >= rate).double() / (1 - rate)
        self.mask, self.tokens = mask.transpose(0, 1), tokens

    def forward(self, x):
        return torch.cat([x[:, : self.tokens] * self.mask, x[:, self.tokens :]], 1)


class MaskedAttention(nn.Module):
    def __init__(self, site, tokens):
        super().__init__()
        shape = (BATCH, HEADS, tokens, TOKENS)
        kept = seeded_tensor(f"dropout.{site}", shape, 0.5, 1.0) >= ATTENTION_DROP
        self.mask, self.tokens = kept.double() / (1 - ATTENTION_DROP), tokens

    def forward(self, p):
        return torch.cat([p[:, :, : self.tokens] * self.mask, p[:, :, self.tokens :]], 2)


def record(with_drop, with_attention_drop):
    model = VisionTransformer(img_size=8, patch_size=4, embed_dim=DIM, depth=DEPTH, num_heads=HEADS, num_classes=CLASSES,
                              norm_layer=partial(nn.LayerNorm, eps=1e-6))
    seed_parameters(model, DIM)
    model.double().train()
    if with_drop:
        model.pos_drop = Masked("embeddings", DIM, TOKENS, DROP)
    for i, block in enumerate(model.blocks):
        tokens = 1 if i == DEPTH - 1 else TOKENS
        block.attn.fused_attn = False
        if with_drop:
            block.attn.proj_drop = Masked(f"blocks.{i}.proj", DIM, tokens, DROP)
            block.mlp.drop1 = Masked(f"blocks.{i}.fc1", 4 * DIM, tokens, DROP)
            block.mlp.drop2 = Masked(f"blocks.{i}.fc2", DIM, tokens, DROP)
        if with_attention_drop:
            block.attn.attn_drop = MaskedAttention(f"blocks.{i}.attn", tokens)
    logits = model(seeded_tensor("images", (BATCH, 3, 8, 8), 0.0, 4.0).double())
    (logits * seeded_tensor("dy", (BATCH, CLASSES), 0.0, 2.0).double()).sum().backward()

    return {"logits": packed(logits), **{name: packed(p.grad) for name, p in model.named_parameters()}}


if __name__ == "__main__":
    write(Path(__file__).resolve().parent / "dropout.json", {
        "command": "python tests/golden/dropout/record.py",
        "versions": versions(),
        "drop": DROP, "attnDrop": ATTENTION_DROP,
        "both": record(True, True),
        "elements": record(True, False),
        "attention": record(False, True),
    })
