"""Records position embeddings at other resolutions, as the reference interpolates them.

    python -m pip install torch timm
    python tests/golden/positions/record.py

Seeded embeddings "pos_embed" [1, prefix + rows·columns, 5] with scale 2; the patches' part goes through
torch.nn.functional.interpolate(mode="bicubic", align_corners=False). `antialias`: through timm's resample_abs_pos_embed.
"""
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from timm.layers import resample_abs_pos_embed

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import packed, seeded_tensor, versions, write  # noqa: E402

WIDTH = 5


def record(prefix, source, target):
    positions = seeded_tensor("pos_embed", (1, prefix + source[0] * source[1], WIDTH), 0.0, 2.0)
    tokens, patches = positions[:, :prefix], positions[:, prefix:]
    grid = patches.reshape(1, *source, WIDTH).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=target, mode="bicubic", align_corners=False)
    result = torch.cat((tokens, grid.permute(0, 2, 3, 1).flatten(1, 2)), dim=1)
    return {"prefix": prefix, "from": source, "to": target, "result": packed(result)}


def record_timm(prefix, source, target):
    positions = seeded_tensor("pos_embed", (1, prefix + source[0] * source[1], WIDTH), 0.0, 2.0)
    result = resample_abs_pos_embed(positions, list(target), list(source), num_prefix_tokens=prefix)
    return {"prefix": prefix, "from": source, "to": target, "antialias": True, "result": packed(result)}


if __name__ == "__main__":
    write(Path(__file__).resolve().parent / "positions.json", {
        "command": "python tests/golden/positions/record.py",
        "versions": versions(), "width": WIDTH,
        "cases": [record(1, (4, 4), (6, 6)), record(2, (7, 7), (12, 12)), record(2, (6, 6), (3, 3)),
                  record(1, (3, 5), (7, 4)), record(2, (4, 4), (4, 4)),
                  record_timm(1, (4, 4), (6, 6)), record_timm(0, (9, 9), (4, 4)), record_timm(1, (37, 37), (16, 16)),
                  record_timm(0, (3, 5), (7, 4)), record_timm(1, (4, 4), (4, 4))],
    })
