"""Records tiny ViTs and DeiTs of transformers, and what transformers and timm make of the folders that we write.

    python -m pip install torch torchvision timm transformers
    python tests/golden/huggingface/record.py                        # theirs.json
    npx node tests/golden/huggingface/write-folders.ts FOLDER        # our exports of seeded models
    python tests/golden/huggingface/record.py FOLDER                 # ours.json

theirs.json: names, shapes and config.json of each model, as its file has them ("disk") or as its state dict has them
("memory": other names in transformers 5), and its logits with weights seeded by those names.
ours.json: the logits of transformers' and timm's models loaded from our folders, without a missing or unexpected
tensor, and how far transformers' preprocessing is from torchvision's Resize and CenterCrop.
"""
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision.transforms import v2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import number, packed, parameter_kind, seeded_images, seeded_tensor, versions, write  # noqa: E402

here = Path(__file__).resolve().parent
WIDTH = 32
DIMS = {
    "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 80,
    "patch_size": 8, "layer_norm_eps": 1e-6,
}
LABELS = {"id2label": {i: f"class {i}" for i in range(5)}, "label2id": {f"class {i}": i for i in range(5)}}
CASES = {
    "vit": ("ViTForImageClassification", "disk", {"image_size": 32, **LABELS}),
    "vit in memory, without biases, not square":
        ("ViTForImageClassification", "memory", {"image_size": [16, 24], "qkv_bias": False, **LABELS}),
    "vit without a head": ("ViTModel", "disk", {"image_size": 32}),
    "deit with both heads": ("DeiTForImageClassificationWithTeacher", "disk", {"image_size": 32, **LABELS}),
    "deit in memory, not square":
        ("DeiTForImageClassificationWithTeacher", "memory", {"image_size": [24, 16], **LABELS}),
    "deit with one head": ("DeiTForImageClassification", "disk", {"image_size": 32, **LABELS}),
}


def seed(name, shape):
    offset, scale = parameter_kind(name, shape, WIDTH)
    return seeded_tensor(name, shape, offset, scale)


def seeded_model(kind, naming, options, folder):
    config_class = transformers.DeiTConfig if kind.startswith("DeiT") else transformers.ViTConfig
    model = getattr(transformers, kind)(config_class(**DIMS, **options)).eval()
    model.save_pretrained(folder)
    if naming == "memory":
        tensors = {name: seed(name, value.shape) for name, value in model.state_dict().items()}
        model.load_state_dict(tensors)
        return model, tensors
    file = Path(folder) / "model.safetensors"
    tensors = {name: seed(name, value.shape) for name, value in load_file(file).items()}
    save_file(tensors, file, metadata={"format": "pt"})
    return load_strictly(type(model), folder), tensors


def load_strictly(model_class, folder):
    model, info = model_class.from_pretrained(folder, output_loading_info=True)
    for problem, names in info.items():
        assert not names, (folder, problem, names)
    return model.eval()


def pixels(size):
    return seeded_images("images", (2, 3, *size))


@torch.no_grad()
def record_theirs():
    cases = {}
    for name, (kind, naming, options) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            model, tensors = seeded_model(kind, naming, options, folder)
            config = json.loads((Path(folder) / "config.json").read_text())
        size = options["image_size"]
        output = model(pixel_values=pixels(size if isinstance(size, list) else [size, size]))
        if kind == "ViTModel":
            results = {"token": output.last_hidden_state[:, 0]}
        elif kind == "DeiTForImageClassificationWithTeacher":
            results = {"logits": output.logits, "class": output.cls_logits, "distillation": output.distillation_logits}
        else:
            results = {"logits": output.logits}
        cases[name] = {
            "kind": kind,
            "config": config,
            "tensors": {key: list(value.shape) for key, value in tensors.items()},
            "results": {key: packed(value) for key, value in results.items()},
        }
    save("theirs.json", "python tests/golden/huggingface/record.py", cases)


@torch.no_grad()
def record_ours(root):
    import timm

    cases = {}
    for folder in sorted(path for path in Path(root).iterdir() if path.is_dir()):
        size = json.loads((folder / "preprocessor_config.json").read_text())["crop_size"]
        images = pixels((size["height"], size["width"]))
        model = load_strictly(transformers.AutoModelForImageClassification, folder)
        output = model(pixel_values=images)
        results = {"logits": output.logits}
        if "cls_logits" in output:
            results |= {"class": output.cls_logits, "distillation": output.distillation_logits}
        cases[folder.name] = {
            "kind": type(model).__name__,
            "labels": [model.config.id2label[i] for i in range(model.config.num_labels)],
            "results": {key: packed(value) for key, value in results.items()},
            "preprocessing": preprocessing(folder, size),
        }
        if (folder / "timm").exists():
            ours = timm.create_model(f"local-dir:{folder / 'timm'}", pretrained=True).eval()
            data = timm.data.resolve_model_data_config(ours)
            cases[folder.name]["timm"] = {
                "logits": packed(ours(images)),
                "data": {key: data[key] for key in ("input_size", "interpolation", "mean", "std", "crop_pct")},
            }
    save("ours.json", "python tests/golden/huggingface/record.py FOLDER", cases)


def preprocessing(folder, size):
    """Largest and mean difference, in 255ths of the brightness, from torchvision on a smooth image.

    Its size leaves an even number of pixels to cut off: of an odd one, transformers rounds the half down, torchvision
    to even, and the two cut one pixel apart.
    """
    config = json.loads((folder / "preprocessor_config.json").read_text())
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    y, x = np.mgrid[0:300, 0:400]
    channels = [128 + 100 * np.sin(x / 9 + k) * np.cos(y / 7 - k) for k in range(3)]
    image = Image.fromarray(np.stack(channels, -1).astype(np.uint8))
    theirs = processor(image, return_tensors="pt")["pixel_values"][0]
    expected = v2.Compose([
        v2.Resize(config["size"]["shortest_edge"], v2.InterpolationMode.BICUBIC),
        v2.CenterCrop((size["height"], size["width"])),
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(config["image_mean"], config["image_std"]),
    ])(image)
    assert theirs.shape == expected.shape
    std = torch.tensor(config["image_std"])[:, None, None]
    difference = ((theirs - expected).abs() * std * 255)
    return {"class": type(processor).__name__, "largest": number(difference.max()), "mean": number(difference.mean())}


def save(name, command, cases):
    write(here / name, {
        "command": command,
        "versions": {**versions(), "transformers": transformers.__version__},
        **{f"case {key}": value for key, value in cases.items()},
    })


if __name__ == "__main__":
    torch.set_num_threads(2)
    if len(sys.argv) > 1:
        record_ours(sys.argv[1])
    else:
        record_theirs()
