"""Records attention of timm's transformers, its rollout, and statistics of their tokens.

    python -m pip install torch timm
    python tests/golden/attention/record.py [path of the data folder]

small.json: a plain and a distilled transformer (width 24, 3 heads, 3 blocks, patches of 8, images 32 × 48, seeded
weights), two seeded images, in float64: rows of the tokens before the patches, rollout of heads fused by mean, max and
min (Abnar & Zuidema 2020; discarding as in vit-explain), and the statistics, by plain loops over NumPy.
real.json, when the data folder is given: the published DeiT-Ti on one image made by a formula (the "gradient" of
tests/augmentation/generated.ts), in float32: class-token rows of some heads, and the mean rollout.
"""
import sys
from functools import partial
from pathlib import Path

import numpy as np
import timm
import torch
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import packed, seed_parameters, seeded_images, versions, write  # noqa: E402

HERE = Path(__file__).resolve().parent
SIZE, PATCH, DIM, HEADS, DEPTH, CLASSES, BATCH = (32, 48), 8, 24, 3, 3, 5, 2
REAL_ROWS = [(0, 0), (0, 2), (2, 1), (5, 0), (8, 1), (11, 0), (11, 1), (11, 2)]


def listen(model):
    """Attention's probabilities [B, h, N, N] of every block, and its tokens, as the model runs."""
    probabilities, states = [], []
    model.blocks[0].register_forward_pre_hook(lambda _module, inputs: states.append(inputs[0]))
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda _module, inputs, _output: probabilities.append(inputs[0]))
        block.register_forward_hook(lambda _module, _inputs, output: states.append(output))
    model.norm.register_forward_hook(lambda _module, _inputs, output: states.append(output))
    return probabilities, states


def fuse(attention, fusion):
    """[B, h, N, N] → [B, N, N]"""
    return {"mean": lambda a: a.mean(1), "max": lambda a: a.max(1)[0], "min": lambda a: a.min(1)[0]}[fusion](attention)


def rollout(probabilities, fusion, discard_ratio):
    """Of one image, as vit-explain computes it, with the rows divided by their own sums."""
    result = torch.eye(probabilities[0].size(-1), dtype=probabilities[0].dtype)
    for attention in probabilities:
        fused = fuse(attention[None], fusion)[0].clone()
        flat = fused.view(-1)
        _, indices = flat.topk(int(flat.size(-1) * discard_ratio), -1, False)
        flat[indices[indices != 0]] = 0
        a = (fused + torch.eye(fused.size(-1), dtype=fused.dtype)) / 2
        result = (a / a.sum(-1, keepdim=True)) @ result
    return result


def statistics(probabilities, states, tokens):
    rows, columns = SIZE[0] // PATCH, SIZE[1] // PATCH
    places = [(PATCH * (i // columns), PATCH * (i % columns)) for i in range(rows * columns)]
    result = {name: [] for name in ("mass", "entropy", "spread", "distance", "overlap", "similarity")}
    for b in range(BATCH):
        for attention in probabilities:
            for head in attention[b].numpy():
                shares = [head[t, tokens:] / head[t, tokens:].sum() for t in range(tokens)]
                for t, share in enumerate(shares):
                    result["mass"].append([*head[t, :tokens], head[t, tokens:].sum()])
                    result["entropy"].append(-sum(s * np.log(s) for s in share))
                    centre = [sum(s * p[axis] for s, p in zip(share, places)) for axis in (0, 1)]
                    result["spread"].append(np.sqrt(sum(
                        s * ((p[0] - centre[0]) ** 2 + (p[1] - centre[1]) ** 2) for s, p in zip(share, places))))
                looks = []
                for i, here in enumerate(places):
                    row = head[tokens + i, tokens:]
                    looks.append(sum(w * np.hypot(here[0] - p[0], here[1] - p[1]) for w, p in zip(row, places)) / row.sum())
                result["distance"].append(np.mean(looks))
                if tokens == 2:
                    result["overlap"].append(np.minimum(*shares).sum())
        if tokens == 2:
            for state in states:
                a, d = state[b, 0], state[b, 1]
                result["similarity"].append(torch.nn.functional.cosine_similarity(a, d, dim=0).item())
    return {name: packed(torch.tensor(np.array(values))) for name, values in result.items() if values}


@torch.no_grad()
def record_small(distilled):
    kind = VisionTransformerDistilled if distilled else VisionTransformer
    model = kind(img_size=SIZE, patch_size=PATCH, embed_dim=DIM, depth=DEPTH, num_heads=HEADS, num_classes=CLASSES,
                 norm_layer=partial(nn.LayerNorm, eps=1e-6))
    seed_parameters(model, DIM)
    model.double().eval()
    probabilities, states = listen(model)
    model(seeded_images("images", (BATCH, 3, *SIZE)).double())
    tokens = 2 if distilled else 1
    return {
        "rows": packed(torch.stack([p[:, :, :tokens] for p in probabilities], 1)),
        "rollouts": [
            {"fusion": fusion, "discardRatio": ratio, "rows": packed(torch.stack(
                [rollout([p[b] for p in probabilities], fusion, ratio)[:tokens] for b in range(BATCH)]))}
            for fusion in ("mean", "max", "min") for ratio in (0.0, 0.5, 0.9)
        ],
        "statistics": statistics(probabilities, states, tokens),
    }


@torch.no_grad()
def record_real(data):
    from safetensors.torch import load_file

    side = 224
    y, x = np.mgrid[0:side, 0:side].astype(np.int64)
    pixels = np.stack([(x * (3 + c) + y * (5 - c) + 40 * c) % 256 for c in range(3)])
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    image = (torch.from_numpy(pixels).float() / 255 - mean) / std
    model = timm.create_model("deit_tiny_patch16_224", pretrained=False).eval()
    model.load_state_dict(load_file(data / "deit_tiny_patch16_224" / "model.safetensors"))
    probabilities, _ = listen(model)
    model(image[None])
    return {
        "side": side,
        "rows": [{"layer": layer, "head": head, "values": packed(probabilities[layer][0, head, 0])} for layer, head in REAL_ROWS],
        "rollout": packed(rollout([p[0] for p in probabilities], "mean", 0.0)[0]),
    }


if __name__ == "__main__":
    write(HERE / "small.json", {
        "command": "python tests/golden/attention/record.py",
        "versions": versions(),
        "size": SIZE, "patchSize": PATCH, "dim": DIM, "numHeads": HEADS, "depth": DEPTH, "classes": CLASSES, "batchSize": BATCH,
        "plain": record_small(False),
        "distilled": record_small(True),
    })
    if len(sys.argv) > 1:
        write(HERE / "real.json", {
            "command": "python tests/golden/attention/record.py DATA",
            "versions": versions(),
            **record_real(Path(sys.argv[1])),
        })
