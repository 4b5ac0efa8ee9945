"""Times OpenVINO on timm's DeiT, forward, in float32 (its own choice on processors with AMX is bfloat16).

    echo 5 | python bench/peers/openvino_forward.py

Reads a number of seconds a line from standard input and answers each with one JSON line (peer.py).
"""
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--model", default="deit_tiny_distilled_patch16_224")
parser.add_argument("--task", choices=["infer"], default="infer")
parser.add_argument("--batch-size", type=int, default=8)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()

import openvino  # noqa: E402
import timm  # noqa: E402
import torch  # noqa: E402
from peer import answer  # noqa: E402

model = timm.create_model(args.model, pretrained=False).eval()
images = torch.randn(args.batch_size, 3, *model.patch_embed.img_size)
converted = openvino.convert_model(model, example_input=images)
converted.reshape(list(images.shape))
request = openvino.Core().compile_model(converted, "CPU", {
    "INFERENCE_NUM_THREADS": args.threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32",
}).create_infer_request()
pixels = images.numpy()
answer(lambda: request.infer([pixels], share_inputs=True), batch_size=args.batch_size,
       version=f"openvino {openvino.__version__.split('-')[0]}")
