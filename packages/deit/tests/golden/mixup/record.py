"""Records timm's Mixup with given draws: weights, boxes, targets and mixed pixels.

    python -m pip install torch timm
    python tests/golden/mixup/record.py

numpy's generator is replaced by a queue of seeded draws: for each row (pair, batch) `prob`, `switch` and λ of either Beta,
and `places`, uniform numbers u that become whole numbers lo + floor(u · (hi − lo)) in the order that they are asked for.
Images are floor of seeded "pictures" (offset 128, scale 256) at most 255, normalised as ImageNet's. λ are float32 values,
as timm rounds them in the modes pair and elem. `boxes` are rand_bbox alone, for sizes that are trained with.
"""
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from timm.data import mixup as timm_mixup

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import packed, seeded_array, seeded_tensor, versions, write  # noqa: E402

SHAPE, CLASSES, SMOOTHING = (4, 3, 9, 7), 5, 0.1
LABELS = [0, 3, 1, 4]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CASES = {
    "batch, mixup": dict(mode="batch", switch=0.0),
    "batch, cutmix": dict(mode="batch", switch=1.0),
    "batch, not mixed": dict(mode="batch", prob=0.0),
    "batch, mixup alone": dict(mode="batch", cutmix=0.0, switch=1.0),
    "batch, cutmix alone": dict(mode="batch", mixup=0.0, switch=0.0),
    "pair": dict(mode="pair"),
    "elem": dict(mode="elem"),
    "elem, half of them": dict(mode="elem", prob=0.5),
    "batch, minmax": dict(mode="batch", minmax=[0.2, 0.8], mixup=0.0, cutmix=0.0),
    "elem, minmax beside mixup": dict(mode="elem", minmax=[0.3, 0.9], cutmix=0.0),
}


def draws(name, count):
    u = lambda what, n: seeded_array(f"{name}.{what}", n, 0.5, 1.0).astype(float).tolist()  # noqa: E731
    return {"prob": u("prob", count), "switch": u("switch", count), "mixup": u("mixup", count),
            "cutmix": u("cutmix", count), "places": u("places", 4 * count)}


class Queue:
    """Stands for numpy.random inside timm."""

    def __init__(self, given, options, rows):
        self.given, self.options, self.rows = given, options, rows
        both = options["mixup"] > 0 and (options["cutmix"] > 0 or options["minmax"] is not None)
        # In the mode batch the switch is asked for after the probability, else before.
        order = ["prob", "switch"] if options["mode"] == "batch" else ["switch", "prob"]
        self.uniforms = [o for o in order if both or o == "prob"]
        self.places = list(given["places"])

    def values(self, what, size):
        return self.given[what][0] if size is None else np.array(self.given[what][:size])

    def rand(self, size=None):
        return self.values(self.uniforms.pop(0), size)

    def beta(self, a, _b, size=None):
        return self.values("mixup" if a == self.options["mixup"] else "cutmix", size)

    def randint(self, low, high, size=None):
        assert size is None
        return low + int(self.places.pop(0) * (high - low))


def record(name, options):
    options = {"mixup": 0.8, "cutmix": 1.0, "minmax": None, "prob": 1.0, "switch": 0.5, **options}
    count = {"batch": 1, "pair": SHAPE[0] // 2, "elem": SHAPE[0]}[options["mode"]]
    given = draws(name, count)
    mixup = timm_mixup.Mixup(options["mixup"], options["cutmix"], options["minmax"], options["prob"], options["switch"],
                             options["mode"], label_smoothing=SMOOTHING, num_classes=CLASSES)
    boxes, weights = [], []
    box_and_lam, target_of = timm_mixup.cutmix_bbox_and_lam, timm_mixup.mixup_target

    def logged_box(*args, **kwargs):
        box, lam = box_and_lam(*args, **kwargs)
        boxes.append([int(edge) for edge in box])
        return box, lam

    def logged_target(target, classes, lam, *rest):
        weights.append(lam)
        return target_of(target, classes, lam, *rest)

    bytes_ = seeded_tensor("pictures", SHAPE, 128.0, 256.0).floor().clamp(max=255)
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (MEAN, STD))
    queue = Queue(given, options, count)
    with mock.patch.object(timm_mixup.np, "random", queue), \
            mock.patch.object(timm_mixup, "cutmix_bbox_and_lam", logged_box), \
            mock.patch.object(timm_mixup, "mixup_target", logged_target):
        pixels, targets = mixup((bytes_ / 255 - mean) / std, torch.tensor(LABELS))
    lam = torch.as_tensor(weights[0], dtype=torch.float64).reshape(-1).expand(SHAPE[0]) if np.ndim(weights[0]) == 0 \
        else weights[0].double().reshape(-1)
    return {"options": options, "draws": given, "weights": lam.tolist(), "boxes": boxes,
            "targets": packed(targets), "pixels": packed(pixels)}


def boxes_alone():
    recorded = []
    for size in (32, 224):
        for i, (lam, u, v) in enumerate(seeded_array(f"boxes.{size}", 120, 0.5, 1.0).astype(float).reshape(-1, 3)):
            centre = [int(u * size), int(v * size)]
            lam = [lam, 0.0, 1.0, 1 - 1e-6][i % 10 if i % 10 < 4 else 0]
            queue = iter(centre)
            with mock.patch.object(timm_mixup.np.random, "randint", lambda *_a, **_k: next(queue)):
                (top, bottom, left, right), corrected = timm_mixup.cutmix_bbox_and_lam((3, size, size), lam)
            recorded.append([size, lam, *centre, *(int(e) for e in (top, bottom, left, right)), float(corrected)])
    return recorded


if __name__ == "__main__":
    write(Path(__file__).resolve().parent / "mixup.json", {
        "command": "python tests/golden/mixup/record.py",
        "versions": versions(),
        "shape": SHAPE, "classes": CLASSES, "smoothing": SMOOTHING, "labels": LABELS,
        "cases": {name: record(name, options) for name, options in CASES.items()},
        "boxes": boxes_alone(),
    })
