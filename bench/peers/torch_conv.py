"""Times PyTorch's convolution, asked for on stdin by bench/peers/conv.ts: one JSON line in, one out.

    {"x": [N, C, H, W], "weight": [O, C/groups, k, k], "stride": 1, "padding": 1, "groups": 1, "part": "forward", "repeats": 5}

`part` is forward, input or weight (the gradients). Answers {"seconds": [...]} after one call that warms up; the first line
is {"version": ...}. Threads are the first argument.
"""
import json
import sys
import time

import torch

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
print(json.dumps({"version": f"torch {torch.__version__}"}), flush=True)
for line in sys.stdin:
    case = json.loads(line)
    stride, padding, groups = [case["stride"]] * 2, [case["padding"]] * 2, case["groups"]
    x, weight = torch.randn(case["x"]), torch.randn(case["weight"])
    with torch.inference_mode():
        grad = torch.randn_like(torch.conv2d(x, weight, None, stride, padding, [1, 1], groups))

        def step():
            if case["part"] == "forward":
                return torch.conv2d(x, weight, None, stride, padding, [1, 1], groups)
            mask = [case["part"] == "input", case["part"] == "weight", False]
            return torch.ops.aten.convolution_backward(
                grad, x, weight, None, stride, padding, [1, 1], False, [0, 0], groups, mask)

        step()
        seconds = []
        for _ in range(case["repeats"]):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds}), flush=True)
