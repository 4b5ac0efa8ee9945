"""Records logits, loss and gradients of every DeiT that timm registers, with seeded weights.

    python -m pip install torch timm
    python tests/golden/models/record.py            # all models, a few minutes; or name some

Writes one JSON a model, and shapes.json: name and shape of every tensor of every model's state dict, in its order.
The float64 entry says how far float32 strays from float64 in PyTorch itself, the scale of a fair tolerance.
"""
import json
import sys
from pathlib import Path

import timm
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import number, packed, sample_indices, seed_parameters, seeded_images, versions, write  # noqa: E402

here = Path(__file__).resolve().parent
MODELS = [
    f"deit_{size}_{form}patch16_{resolution}"
    for size, resolution in (("tiny", 224), ("small", 224), ("base", 224), ("base", 384))
    for form in ("", "distilled_")
]


def evaluate(model, images, labels, distilled):
    """Logits of each head, the loss, and the gradients, all in the model's precision."""
    model.zero_grad()
    output = model(images)
    heads = dict(zip(("class", "distillation"), output)) if distilled else {"class": output}
    loss = sum(F.cross_entropy(logits, labels) for logits in heads.values()) / len(heads)
    loss.backward()
    return heads, loss, {name: p.grad.clone() for name, p in model.named_parameters()}


def record(name):
    torch.manual_seed(0)
    batch = 1 if "base" in name else 2
    resolution = int(name.split("_")[-1])
    distilled = "distilled" in name
    model = timm.create_model(name, pretrained=False, img_size=resolution).train()
    for block in model.blocks:
        block.attn.fused_attn = False
    if distilled:
        model.set_distilled_training(True)
    seed_parameters(model, model.embed_dim)
    images = seeded_images("images", (batch, 3, resolution, resolution))
    labels = torch.tensor([(37 * b + 11) % 1000 for b in range(batch)])

    heads, loss, gradients = evaluate(model, images, labels, distilled)
    heads64, loss64, gradients64 = evaluate(model.double(), images.double(), labels, distilled)

    def entry(parameter, gradient):
        at = sample_indices(parameter, gradient.numel())
        flat = gradient.flatten()
        return {"norm": number(gradient.double().norm()), "at": at, "values": [number(flat[i]) for i in at]}

    write(here / f"{name}.json", {
        "model": name,
        "command": f"python tests/golden/models/record.py {name}",
        "versions": versions(),
        "batchSize": batch,
        "labels": labels.tolist(),
        "loss": number(loss),
        "logits": {head: packed(logits) for head, logits in heads.items()},
        "float64": {
            "loss": loss64.item(),
            "largestLogitDifference": number(max((heads[h].double() - heads64[h]).abs().max() for h in heads)),
            "largestRelativeGradientDifference": number(max(
                (gradients[p].double() - g).norm() / g.norm() for p, g in gradients64.items())),
        },
        "gradients": {p: entry(p, g) for p, g in gradients.items()},
    })
    print(name, "loss", loss.item(), "float64", loss64.item(), flush=True)


def write_shapes():
    shapes = {}
    for name in MODELS:
        with torch.device("meta"):
            model = timm.create_model(name, pretrained=False, img_size=int(name.split("_")[-1]))
        shapes[name] = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "tensors": {key: list(value.shape) for key, value in model.state_dict().items()},
        }
    lines = [f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in shapes.items()]
    (here / "shapes.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    torch.set_num_threads(2)
    write_shapes()
    for name in sys.argv[1:] or MODELS:
        record(name)
