"""Writes timm's own ONNX export of a model with given weights, for deployed.ts.

    python bench/peers/timm_onnx.py deit_tiny_patch16_224 model.safetensors out.onnx [--dynamo]

Prints one JSON line with versions. Needs torch, timm, safetensors, onnx, onnxscript.
"""
import argparse
import json

import timm
import torch
from safetensors.torch import load_file
from timm.utils.onnx import onnx_export

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("weights")
parser.add_argument("out")
parser.add_argument("--dynamo", action="store_true")
args = parser.parse_args()

model = timm.create_model(args.model, exportable=True)
model.load_state_dict(load_file(args.weights))
model.eval()
if args.dynamo:  # timm's function asks for a free height and width, which the model has not
    batch = torch.zeros(2, *model.pretrained_cfg["input_size"])
    shapes = ({0: torch.export.Dim("batch")},)
    torch.onnx.export(model, (batch,), args.out, dynamic_shapes=shapes, dynamo=True, external_data=False, verbose=False)
else:
    onnx_export(model, args.out, batch_size=1, dynamic_size=True, check=True)
print(json.dumps({"torch": torch.__version__, "timm": timm.__version__, "dynamo": args.dynamo}))
