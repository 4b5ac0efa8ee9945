"""Small vision transformers as PyTorch's two exporters write them, for tests/interop/onnx-weights.test.ts.

    pip install torch timm transformers onnx onnxscript && python tests/golden/onnx-weights/record.py

Weights are seeded by their names (timm's; for transformers' model its own), so the files hold all there is. "torchscript" and
"dynamo" are torch.onnx.export with dynamo=False and True; the latter puts large weights beside the model.
"""
import logging
import sys
import warnings
from pathlib import Path

import onnx
import timm
import torch
import transformers

here = Path(__file__).parent
sys.path.insert(0, str(here.parent))
from seeded import seeded_tensor  # noqa: E402

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

SMALL = dict(img_size=8, patch_size=4, embed_dim=8, depth=2, num_heads=2, mlp_ratio=2, num_classes=3)
plain = timm.models.vision_transformer.VisionTransformer(**SMALL)
distilled = timm.models.deit.VisionTransformerDistilled(**SMALL)
without_bias = timm.models.vision_transformer.VisionTransformer(**SMALL, qkv_bias=False)
config = transformers.ViTConfig(
    hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=8, patch_size=4, num_labels=3
)


class Logits(torch.nn.Module):
    """Only tensors can be exported."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        return self.model(pixels).logits


huggingface = Logits(transformers.ViTForImageClassification(config))
pixels = torch.zeros(1, 3, 8, 8)


def seed(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(seeded_tensor(name.removeprefix("model."), parameter.shape))
    return model.eval()


def torchscript(model, name):
    torch.onnx.export(
        seed(model), pixels, here / name, dynamo=False, opset_version=17,
        input_names=["pixels"], output_names=["logits"], dynamic_axes={"pixels": {0: "batch"}},
    )


def dynamo(model, name, **options):
    torch.onnx.export(seed(model), (pixels,), here / name, dynamo=True, verbose=False, **options)


torchscript(plain, "timm.torchscript.onnx")
torchscript(without_bias, "timm-no-bias.torchscript.onnx")
torchscript(huggingface, "huggingface.torchscript.onnx")
dynamo(distilled, "timm-distilled.dynamo.onnx", external_data=True)
dynamo(huggingface, "huggingface.dynamo.onnx", external_data=False)
for path in sorted(here.glob("*.onnx")):
    model = onnx.load(path, load_external_data=False)
    # who exported where is of no use, and is most of the file
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    path.write_bytes(model.SerializeToString())
    print(path.name, path.stat().st_size, [t.name for t in model.graph.initializer][:60])
