"""Trains a small DeiT with timm and PyTorch on CIFAR-10 from a plan that says every random draw.

    python bench/peers/torch_train_small.py PLAN_FOLDER --data CIFAR_FOLDER --out curve.csv

The same initial weights, order, crops, flips and learning rates as another system's run, so that curves can be laid
over each other. The files are described in bench/peers/README.md. Writes epoch, train_loss, test_loss, test_acc1.
"""
import argparse
import csv
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer

SIDE, RECORD = 32, 1 + 3 * 32 * 32


def read_cifar(files):
    """CIFAR-10's binary form: one label byte, then 3 × 32 × 32 bytes."""
    records = np.concatenate([np.fromfile(file, np.uint8).reshape(-1, RECORD) for file in files])
    images = torch.from_numpy(records[:, 1:].reshape(-1, 3, SIDE, SIDE).copy())
    return images, torch.from_numpy(records[:, 0].astype(np.int64))


def build(model):
    """timm's model of the plan's `model` entry, without drop-path."""
    make = VisionTransformerDistilled if model["distilled"] else VisionTransformer
    return make(
        img_size=model["imgSize"], patch_size=model["patch"], embed_dim=model["dim"], depth=model["depth"],
        num_heads=model["heads"], mlp_ratio=model.get("mlpRatio", 4), qkv_bias=True, num_classes=model["numClasses"],
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6))


def read_order(file, plan, length):
    order = np.fromfile(file, "<i4").reshape(plan["epochs"], plan["steps"], plan["batchSize"], 4)
    reach = 2 * plan.get("padding", 4)
    for column, (name, highest) in enumerate([("sample", length - 1), ("dx", reach), ("dy", reach), ("flip", 1)]):
        values = order[..., column]
        if values.min() < 0 or values.max() > highest:
            raise SystemExit(f"{file}: {name} must be 0 to {highest}, found {values.min()} to {values.max()}")
    return torch.from_numpy(order.astype(np.int64))


def crop(padded, rows):
    """Rows [B, 4] of (sample, dx, dy, flip) to images [B, 3, 32, 32]: crop at column dx, row dy, then mirror."""
    sample, dx, dy, flip = rows.unbind(1)
    along = torch.arange(SIDE)
    x = dx[:, None] + torch.where(flip[:, None] == 1, SIDE - 1 - along, along)
    y = dy[:, None] + along
    return padded[sample[:, None, None, None], torch.arange(3)[:, None, None], y[:, None, :, None], x[:, None, None, :]]


@torch.inference_mode()
def evaluate(model, normalise, images, labels, batch_size=500):
    model.eval()
    loss = correct = 0.0
    for start in range(0, len(labels), batch_size):
        logits = model(normalise(images[start:start + batch_size]))
        target = labels[start:start + batch_size]
        loss += F.cross_entropy(logits, target, reduction="sum").item()
        correct += (logits.argmax(1) == target).sum().item()
    return loss / len(labels), 100 * correct / len(labels)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("plan", type=Path, help="folder with plan.json, order.bin, weights.safetensors")
    parser.add_argument("--data", type=Path, required=True, help="folder with data_batch_1.bin … test_batch.bin")
    parser.add_argument("--out", type=Path, required=True, help="csv to write")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, help="stop after so many epochs")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    plan = json.loads((args.plan / "plan.json").read_text())
    if plan.get("dropPath", 0) != 0:
        raise SystemExit("dropPath must be 0: its draws are not in the plan")
    images, labels = read_cifar([args.data / f"data_batch_{i}.bin" for i in range(1, 6)])
    test_images, test_labels = read_cifar([args.data / "test_batch.bin"])
    order = read_order(args.plan / "order.bin", plan, len(labels))
    if len(plan["lrs"]) != plan["epochs"] * plan["steps"]:
        raise SystemExit(f"plan.json: {len(plan['lrs'])} learning rates for {plan['epochs']} × {plan['steps']} steps")

    model = build(plan["model"])
    model.load_state_dict(load_file(args.plan / "weights.safetensors"), strict=True)
    distilled, alpha, smoothing = plan["model"]["distilled"], plan.get("alpha", 0.0), plan["smoothing"]
    if distilled:
        model.set_distilled_training(True)
    undecayed = {n for n, p in model.named_parameters() if p.ndim == 1 or n in ("pos_embed", "cls_token")}
    optimizer = torch.optim.AdamW([
        {"params": [p for n, p in model.named_parameters() if n not in undecayed], "weight_decay": plan["weightDecay"]},
        {"params": [p for n, p in model.named_parameters() if n in undecayed], "weight_decay": 0.0},
    ], lr=0.0, betas=(0.9, 0.999), eps=1e-8, fused=True)

    mean, std = (torch.tensor(plan[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    def normalise(batch):
        return (batch.float() / 255 - mean) / std

    pad = plan.get("padding", 4)
    padded = F.pad(images, (pad, pad, pad, pad))
    with open(args.out, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "train_loss", "test_loss", "test_acc1"])
        for epoch in range(min(plan["epochs"], args.epochs or plan["epochs"])):
            started, total = time.perf_counter(), 0.0
            model.train()
            for step in range(plan["steps"]):
                rows = order[epoch, step]
                output = model(normalise(crop(padded, rows)))
                class_logits, dist_logits = output if distilled else (output, None)
                target = labels[rows[:, 0]]
                loss = F.cross_entropy(class_logits, target, label_smoothing=smoothing)
                if distilled and alpha > 0:
                    loss = (1 - alpha) * loss + alpha * F.cross_entropy(dist_logits, target)
                for group in optimizer.param_groups:
                    group["lr"] = plan["lrs"][epoch * plan["steps"] + step]
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                if plan.get("clipGrad"):
                    torch.nn.utils.clip_grad_norm_(model.parameters(), plan["clipGrad"])
                optimizer.step()
                total += loss.item()
            rate = plan["steps"] * plan["batchSize"] / (time.perf_counter() - started)
            test_loss, acc1 = evaluate(model, normalise, test_images, test_labels)
            writer.writerow([epoch, f"{total / plan['steps']:.6f}", f"{test_loss:.6f}", f"{acc1:.4f}"])
            file.flush()
            print(f"epoch {epoch}: train loss {total / plan['steps']:.4f}, test loss {test_loss:.4f}, "
                  f"acc@1 {acc1:.2f}, {rate:.0f} images/s", flush=True)


if __name__ == "__main__":
    main()
