"""Times PyTorch eager on a training step of a convnet: forward, backward and SGD with momentum. Prints one JSON line.

    python bench/peers/torch_convnet.py --model regnety_002 --size 224 --batch-size 8 --seconds 5

`resnet20` is the ResNet for CIFAR that packages/deit/tests/golden/convnets/record.py builds; others are timm's.
"""
import argparse
import json
import statistics
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--model", default="resnet20")
parser.add_argument("--size", type=int, default=32)
parser.add_argument("--batch-size", type=int, default=64)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--seconds", type=float, default=5.0)
args = parser.parse_args()

import timm  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

torch.set_num_threads(args.threads)
torch.manual_seed(0)
if args.model == "resnet20":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packages/deit/tests/golden/convnets"))
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packages/deit/tests/golden"))
    from record import ResNet20  # noqa: E402
    model = ResNet20()
else:
    model = timm.create_model(args.model, pretrained=False)
model.train()
images = torch.randn(args.batch_size, 3, args.size, args.size)
classes = model(images[:2]).shape[1]
labels = torch.arange(args.batch_size) * 37 % classes
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)


def step():
    optimizer.zero_grad(set_to_none=True)
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()


step(), step()
durations, end = [], time.perf_counter() + args.seconds
while len(durations) < 3 or time.perf_counter() < end:
    start = time.perf_counter()
    step()
    durations.append(time.perf_counter() - start)
seconds = statistics.median(durations)
print(json.dumps({"torch": torch.__version__, "timm": timm.__version__, "model": args.model,
                  "imagesPerSecond": args.batch_size / seconds}))
