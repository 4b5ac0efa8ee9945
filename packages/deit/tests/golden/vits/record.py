"""Records small vision transformers of timm with the parts of DeiT III, DINOv2 and AugReg, with seeded weights.

    python -m pip install torch timm transformers
    python tests/golden/vits/record.py

small.json: by case timm's arguments, logits, features (what the head reads), loss and gradients; the same for weights in
the original repositories' names (deit_3_*.pth, dinov2_*.pth), converted by timm: names, shapes and logits; and transformers' DINOv2.
counts.json: parameters of timm's registered models with 1000 classes, and the tensors outside of their blocks and of
block 0. Everything of small.json is computed in float64 from float32 values.
"""
import json
import sys
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import (  # noqa: E402
    number, packed, parameter_kind, sample_indices, seed_parameters, seeded_images, seeded_tensor, versions, write)

here = Path(__file__).resolve().parent
DIM, CLASSES, BATCH = 32, 5, 2
CASES = {
    "deit3": dict(img_size=32, patch_size=8, init_values=1e-4, no_embed_class=True),
    "dinov2": dict(img_size=56, patch_size=14, init_values=1e-5),
    "dinov2_reg4": dict(img_size=56, patch_size=14, init_values=1e-5, reg_tokens=4, no_embed_class=True),
    "average": dict(img_size=32, patch_size=8, global_pool="avg"),
}
ORIGINAL = ("deit3", "dinov2", "dinov2_reg4")


def small(args):
    model = VisionTransformer(embed_dim=DIM, depth=2, num_heads=2, num_classes=CLASSES, **args)
    for block in model.blocks:
        block.attn.fused_attn = False
    return model


def record(args):
    model = small(args)
    seed_parameters(model, DIM)
    model.double()
    images = seeded_images("images", (BATCH, 3, args["img_size"], args["img_size"])).double()
    labels = torch.tensor([(37 * b + 11) % CLASSES for b in range(BATCH)])
    features = model.forward_head(model.forward_features(images), pre_logits=True)
    logits = model(images)
    loss = F.cross_entropy(logits, labels)
    loss.backward()

    def entry(name, gradient):
        flat, at = gradient.flatten(), sample_indices(name, gradient.numel(), 8)
        shape = list(gradient.shape)
        return {"shape": shape, "norm": number(gradient.norm()), "at": at, "values": [number(flat[i]) for i in at]}

    return {
        "args": args, "labels": labels.tolist(), "logits": packed(logits), "features": packed(features),
        "loss": number(loss), "gradients": {name: entry(name, p.grad) for name, p in model.named_parameters()},
    }


def original_names(case, model):
    """The names and shapes of the original repository's file of such a model."""
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    if case == "deit3":
        return {name.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): s for name, s in shapes.items()}
    shapes["mask_token"] = (1, DIM)
    if case == "dinov2_reg4":
        shapes["register_tokens"] = shapes.pop("reg_token")
        shapes["pos_embed"] = (1, shapes["pos_embed"][1] + 1, DIM)
    return {name: s for name, s in shapes.items() if not name.startswith("head.")} | {
        name: s for name, s in shapes.items() if name.startswith("head.")}


def record_original(case, args):
    model = small(args)
    shapes = original_names(case, model)
    state = {name: seeded_tensor(name, shape, *parameter_kind(name, shape, DIM)) for name, shape in shapes.items()}
    converted = checkpoint_filter_fn(dict(state), model, adapt_layer_scale=case == "deit3")
    model.load_state_dict(converted)
    images = seeded_images("images", (BATCH, 3, args["img_size"], args["img_size"])).double()
    return {"shapes": {k: list(v) for k, v in shapes.items()}, "logits": packed(model.double()(images))}


def record_transformers(kind, **extra):
    """transformers' DINOv2 with seeded weights: config, tensors, and the class token after the last normalisation."""
    import transformers

    config = getattr(transformers, f"{kind}Config")(
        hidden_size=DIM, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=4, patch_size=14, image_size=56, **extra)
    model = getattr(transformers, f"{kind}Model")(config).eval()
    seed_parameters(model, DIM)
    images = seeded_images("images", (BATCH, 3, 56, 56)).double()
    token = model.double()(images).last_hidden_state[:, 0]
    shapes = {name: list(p.shape) for name, p in model.named_parameters()}
    keep = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "mlp_ratio", "hidden_act",
            "layer_norm_eps", "image_size", "patch_size", "use_swiglu_ffn", "num_register_tokens")
    written = {key: value for key, value in config.to_dict().items() if key in keep}
    return {"config": written, "shapes": shapes, "token": packed(token)}


def counts(names):
    found = {}
    for name in names:
        with torch.device("meta"):
            model = timm.create_model(name, num_classes=1000)
        parts = {k: list(v.shape) for k, v in model.state_dict().items()
                 if not k.startswith("blocks.") or k.startswith("blocks.0.")}
        found[name] = {"parameters": sum(p.numel() for p in model.parameters()), "tensors": parts}
    return found


REGISTERED = [
    "deit3_small_patch16_224", "deit3_small_patch16_384", "deit3_medium_patch16_224", "deit3_base_patch16_224",
    "deit3_base_patch16_384", "deit3_large_patch16_224", "deit3_large_patch16_384", "deit3_huge_patch14_224",
    "vit_small_patch14_dinov2", "vit_base_patch14_dinov2", "vit_small_patch14_reg4_dinov2",
    "vit_base_patch14_reg4_dinov2", "vit_tiny_patch16_224", "vit_tiny_patch16_384", "vit_small_patch16_224",
    "vit_small_patch16_384", "vit_base_patch16_224", "vit_base_patch16_384", "vit_small_patch32_224",
    "vit_small_patch32_384", "vit_base_patch32_224", "vit_base_patch32_384",
]

if __name__ == "__main__":
    torch.set_num_threads(2)
    write(here / "small.json", {
        "command": "python tests/golden/vits/record.py", "versions": versions(),
        "dim": DIM, "classes": CLASSES, "batchSize": BATCH,
        "cases": {name: record(args) for name, args in CASES.items()},
        "original": {name: record_original(name, CASES[name]) for name in ORIGINAL},
        "transformers": {
            "dinov2": record_transformers("Dinov2"),
            "dinov2_with_registers": record_transformers("Dinov2WithRegisters", num_register_tokens=4),
        },
    })
    lines = [f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in counts(REGISTERED).items()]
    (here / "counts.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
