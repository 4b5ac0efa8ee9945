"""Records what Pillow and torchvision do to images, as hashes and small pixel lists.

    python tests/golden/pil/record.py [path of the data folder]     needs pillow, torchvision, timm

Writes resize.json, crop.json, files.json and, when the data folder is given, images.json (hashes only: no pixels of real
images are kept). Generated images follow the formula of tests/augmentation/generated.ts.
"""
import base64, hashlib, io, json, pathlib, random, sys
import numpy as np
import PIL
from PIL import Image, ImageCms
import torchvision
from torchvision import transforms
from timm.data.transforms import RandomResizedCropAndInterpolation
from timm.data.transforms_factory import transforms_imagenet_eval

HERE = pathlib.Path(__file__).parent
FILTERS = {"nearest": Image.NEAREST, "box": Image.BOX, "bilinear": Image.BILINEAR, "hamming": Image.HAMMING, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
VERSIONS = {"pillow": PIL.__version__, "torchvision": torchvision.__version__}


def generate(width, height, kind):
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    planes = []
    for c in range(3):
        if kind == "gradient":
            planes.append((x * (3 + c) + y * (5 - c) + 40 * c) % 256)
        elif kind == "checker":  # hard edges: negative lobes overshoot and must be clipped
            planes.append(((x // (2 + c) + y // 3) % 2) * 255)
        else:
            planes.append((((x + 1) * 73856093 ^ (y + 1) * 19349663 ^ (c + 1) * 83492791) // 64) % 256)
    return Image.fromarray(np.stack(planes, -1).astype(np.uint8), "RGB")


def sha(image):
    return hashlib.sha256(image.tobytes()).hexdigest()[:16]


def resize():
    sizes = [(32, 32), (1, 1), (2, 3), (7, 5), (500, 375), (375, 500), (227, 227), (640, 33), (31, 257), (1024, 10)]
    targets = [(224, 224), (32, 32), (1, 1), (3, 2), (16, 48), (129, 255), (341, 256), (5, 224)]
    cases = []
    for w, h in sizes:
        for kind in ("gradient", "checker", "noise"):
            image = generate(w, h, kind)
            for tw, th in targets:
                for name, code in FILTERS.items():
                    cases.append([w, h, kind, tw, th, name, None, sha(image.resize((tw, th), code))])
            for tw, th in [(w, 17), (17, h), (w, h)]:  # one pass only, or none
                cases.append([w, h, kind, tw, th, "bicubic", None, sha(image.resize((tw, th), Image.BICUBIC))])
    image = generate(101, 77, "noise")
    for box in [(0, 0, 101, 77), (10, 5, 60, 70), (0.5, 0.25, 33.3, 44.7), (90.1, 70.9, 101, 77), (3, 3, 4, 4), (0, 0, 20, 77)]:
        for tw, th in [(20, 20), (64, 31), (101, 77)]:
            for name, code in FILTERS.items():
                cases.append([101, 77, "noise", tw, th, name, list(box), sha(image.resize((tw, th), code, box=box))])
    return {"versions": VERSIONS, "columns": ["width", "height", "kind", "to width", "to height", "filter", "box", "sha256"], "cases": cases}


def crop():
    centre = []
    for w, h in [(256, 341), (257, 256), (33, 31), (225, 226), (227, 229), (10, 50), (40, 41)]:
        for s in [(224, 224), (32, 32), (20, 31), (33, 30), (227, 225)]:
            image = generate(w, h, "noise")
            centre.append([w, h, *s, sha(transforms.CenterCrop(s)(image))])
    evaluation = []
    for w, h in [(500, 375), (375, 500), (333, 500), (227, 227), (256, 300), (224, 224), (60, 61), (1000, 100), (33, 32)]:
        for s, ratio in [(224, 0.875), (384, 0.875), (224, 0.9), (224, 1.0), (48, 0.875), (96, 1.2)]:
            image = generate(w, h, "noise")
            pipeline = transforms.Compose([transforms.Resize(int(s / ratio), interpolation=Image.BICUBIC), transforms.CenterCrop(s)])
            evaluation.append([w, h, s, ratio, sha(pipeline(image))])
    # timm's three ways to bring an image to the input's size, without its normalisation
    modes = []
    for w, h in [(500, 375), (375, 500), (60, 61), (1000, 100), (33, 32), (48, 48), (20, 9)]:
        for s in [(48, 48), (32, 64), (57, 40)]:
            for ratio in (0.875, 1.0):
                for mode in ("squash", "border") + (("center",) if s[0] == s[1] else ()):
                    for filter in ("bicubic", "bilinear", "nearest"):
                        image = generate(w, h, "noise")
                        pipeline = transforms_imagenet_eval(s, crop_pct=ratio, crop_mode=mode, interpolation=filter)
                        pipeline.transforms = pipeline.transforms[:-2]
                        modes.append([w, h, *s, ratio, mode, filter, sha(pipeline(image))])
    # the rectangles of RandomResizedCrop with the uniforms that made them: 2 a try, then 2 integers
    drawn = []
    for w, h in [(500, 375), (375, 500), (32, 32), (1000, 60), (60, 1000), (5, 7), (224, 224)]:
        for seed in range(12):
            uniforms, integers = [], []

            class Recorder(random.Random):
                def uniform(self, a, b):
                    u = super().random()
                    uniforms.append(u)
                    return a + (b - a) * u

                def randint(self, a, b):
                    k = super().randint(a, b)
                    integers.append([b + 1 - a, k])
                    return k

            import timm.data.transforms as module
            module.random = Recorder(seed)
            top, left, height, width = RandomResizedCropAndInterpolation.get_params(Image.new("RGB", (w, h)), (0.08, 1.0), (3 / 4, 4 / 3))
            drawn.append({"size": [w, h], "uniforms": uniforms, "integers": integers, "region": [left, top, width, height]})
    return {"versions": VERSIONS, "centre": centre, "evaluation": evaluation, "modes": modes, "randomResized": drawn}


def files():
    """Small files written by Pillow, and their pixels as Pillow's convert("RGB") gives them."""
    image = generate(9, 7, "gradient")
    with_alpha = Image.merge("RGBA", [*image.split(), image.getchannel(0)])
    palette = image.quantize(16)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"tmpX").replace(b"gXYZ", b"rXYZ").replace(b"tmpX", b"gXYZ")  # would exchange red and green
    written = {
        "cmyk.jpg": (image.convert("CMYK"), {"quality": 95}),
        "cmyk.tif": (image.convert("CMYK"), {"compression": "raw"}),
        "grey.jpg": (image.convert("L"), {}),
        "progressive.jpg": (image, {"progressive": True, "quality": 60}),
        "profile.png": (image, {"icc_profile": swapped}),
        "alpha.webp": (with_alpha, {"lossless": True, "exact": True}),
        "grey-alpha.png": (with_alpha.convert("LA"), {}),
        "palette.png": (palette, {"transparency": 3}),
        "palette.gif": (palette, {}),
        "bits.png": (image.convert("1"), {}),
    }
    cases = []
    for name, (image, options) in written.items():
        buffer = io.BytesIO()
        image.save(buffer, Image.registered_extensions()[pathlib.Path(name).suffix], **options)
        rgb = Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")
        cases.append({"name": name, "base64": base64.b64encode(buffer.getvalue()).decode(), "sha256": sha(rgb)})
    return {"versions": VERSIONS, "cases": cases}


def images(root):
    files = sorted((root / "imagenet_val_650" / "images").iterdir())[:12]
    files += sorted((root / "flowers_40" / "val").glob("*/*"))[:6]
    files += sorted((root / "imagenette_1500" / "val").glob("*/*"))[:4]
    pipeline = transforms.Compose([transforms.Resize(256, interpolation=Image.BICUBIC), transforms.CenterCrop(224)])
    cases = []
    for file in files:
        image = Image.open(file).convert("RGB")
        cut = image.crop((11, 7, image.width - 23, image.height // 2)).resize((224, 224), Image.BICUBIC)
        cases.append({"file": str(file.relative_to(root)), "decoded": sha(image), "evaluation": sha(pipeline(image)), "crop": sha(cut)})
    return {"versions": VERSIONS, "cases": cases}


def write(name, content):
    text = json.dumps(content)
    (HERE / name).write_text(text.replace("], [", "],\n[").replace("}, {", "},\n{") + "\n")


write("resize.json", resize())
write("crop.json", crop())
write("files.json", files())
if len(sys.argv) > 1:
    write("images.json", images(pathlib.Path(sys.argv[1])))
