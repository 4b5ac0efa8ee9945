"""Loads our exports as timm does, and records the configuration of those that answer the same.

    python -m pip install torch timm
    npx node tests/golden/timm-export/write-folders.ts FOLDER
    python tests/golden/timm-export/record.py FOLDER

expected.json: the config.json that timm loaded, strictly, and the largest difference of a logit from those of our ONNX
export. Of families whose large ones are gigabytes one of each kind is enough; entries of models that are not in FOLDER stay.
"""
import json
import sys
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file

here = Path(__file__).resolve().parent
models = json.loads((here / "expected.json").read_text())["models"]
for folder in sorted(Path(sys.argv[1]).iterdir()):
    if not (folder / "config.json").exists():
        continue
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    expected = load_file(folder / "expected.st")
    with torch.no_grad():
        logits = model(expected["images"])
    data = timm.data.resolve_model_data_config(model)
    assert list(data["mean"]) == [0.5, 0.4, 0.3] and list(data["std"]) == [0.2, 0.3, 0.25], data
    assert data["crop_pct"] == 0.9 and data["interpolation"] == "bicubic", data
    assert tuple(data["input_size"]) == tuple(expected["images"].shape[1:]), data
    largest = (logits - expected["logits"]).abs().max().item()
    assert largest < 1e-3 * max(1, expected["logits"].abs().max().item()), (folder.name, largest, logits)
    config = json.loads((folder / "config.json").read_text())
    models[folder.name] = {"config": config, "difference": f"{largest:.1e}"}
    print(folder.name, f"{largest:.1e}", expected["logits"][0].tolist(), flush=True)
versions = {"timm": timm.__version__, "torch": torch.__version__}
text = json.dumps({"versions": versions, "models": models}, indent=1)
(here / "expected.json").write_text(text + "\n")
