"""Records what Pillow does to images in the operations of RandAugment, AutoAugment and 3-Augment, as hashes.

    python tests/golden/augmentation/record.py [path of the data folder]     needs pillow, timm

Writes operations.json and, when the data folder is given, images.json (hashes only: no pixels of real images are
kept). Generated images follow the formula of tests/augmentation/generated.ts.
"""
import importlib.util, json, pathlib, sys
import PIL
import timm
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from timm.data import auto_augment as aa

HERE = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("pil_record", HERE.parent / "pil" / "record.py")
pil = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pil)
FILL = (124, 116, 104)
FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def operations():
    """Name, argument and the function, for every operation at several magnitudes."""
    for name, function in [("autoContrast", ImageOps.autocontrast), ("equalize", ImageOps.equalize), ("invert", ImageOps.invert)]:
        yield name, None, function
    yield "grayscale", None, lambda image: image.convert("L").convert("RGB")
    # Pillow 13 refuses 0 bits, the Pillow of DeiT's days made the image black
    yield "posterize", 0, lambda image: Image.new("RGB", image.size)
    for bits in (1, 2, 4, 7, 8):
        yield "posterize", bits, lambda image, bits=bits: ImageOps.posterize(image, bits)
    for threshold in (0, 26, 111, 128, 255, 256):
        yield "solarize", threshold, lambda image, t=threshold: ImageOps.solarize(image, t)
    for amount in (0, 37, 99, 110):
        yield "solarizeAdd", amount, lambda image, a=amount: aa.solarize_add(image, a)
    for name, enhancer in [("color", ImageEnhance.Color), ("contrast", ImageEnhance.Contrast), ("brightness", ImageEnhance.Brightness), ("sharpness", ImageEnhance.Sharpness)]:
        for factor in (0, 0.1, 0.19, 0.5, 0.73, 1, 1.3, 1.81, 1.9, 3):
            yield name, factor, lambda image, e=enhancer, f=factor: e(image).enhance(f)
    for interpolation, code in FILTERS.items():
        options = {"resample": code, "fillcolor": FILL}
        for degrees in (-180, -90, -27, -3.3, 0, 1e-3, 13.7, 27, 90, 180, 270):
            yield "rotate", [degrees, interpolation], lambda image, d=degrees, o=options: image.rotate(d, **o)
        for factor in (-0.3, -0.27, 0.01, 0.27):
            for name, function in [("shearX", aa.shear_x), ("shearY", aa.shear_y)]:
                yield name, [factor, interpolation], lambda image, f=factor, o=options, fn=function: fn(image, f, **o)
        for share in (-0.45, -0.405, 0.1, 0.405):
            for name, function in [("translateX", aa.translate_x_rel), ("translateY", aa.translate_y_rel)]:
                yield name, [share, interpolation], lambda image, s=share, o=options, fn=function: fn(image, s, **o)
    for radius in (0, 0.1, 0.37, 0.5, 1, 1.61, 2, 7.5):
        yield "gaussianBlur", radius, lambda image, r=radius: image.filter(ImageFilter.GaussianBlur(radius=r))


def record(images):
    return [[key, name, argument, pil.sha(function(image))] for key, image in images for name, argument, function in operations()]


def generated():
    sizes = [(32, 32), (1, 1), (2, 3), (7, 5), (31, 40), (1, 9), (64, 33)]
    return [([w, h, kind], pil.generate(w, h, kind)) for w, h in sizes for kind in ("gradient", "checker", "noise")]


def real(data):
    files = sorted((data / "imagenette_1500" / "val").glob("*/*"))[::120]
    return [(str(file.relative_to(data)), Image.open(file).convert("RGB")) for file in files]


def write(name, images):
    content = {"pillow": PIL.__version__, "timm": timm.__version__, "columns": ["image", "operation", "argument", "sha256"], "cases": record(images)}
    lines = json.dumps(content).replace('], [[', '],\n[[').replace('], ["', '],\n["')
    (HERE / name).write_text(lines + "\n")


write("operations.json", generated())
if len(sys.argv) > 1:
    write("images.json", real(pathlib.Path(sys.argv[1])))
