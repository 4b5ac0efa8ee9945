"""Times timm's training transform on a folder of images, one process and no batching beside: prints a JSON line.

    python bench/peers/torch_loader.py FOLDER [--seconds 5]      needs torch, torchvision, timm

Rates are of one core: reading, decoding (Pillow), transform to a float tensor; with crop and flip alone, and with the
recipe (rand-m9-mstd0.5-inc1, erasing 0.25). torchvision's and timm's loaders run this in their workers.
"""
import argparse, json, random, time
import PIL, timm, torch, torchvision
from PIL import Image
from timm.data import auto_augment, create_transform

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--seconds", type=float, default=5)
args = parser.parse_args()
torch.set_num_threads(1)

# DeiT's policy reaches 0 bits, which Pillow 13 refuses with an exception and older ones made black
posterize = auto_augment.ImageOps.posterize
auto_augment.ImageOps.posterize = lambda image, bits: posterize(image, bits) if bits else Image.new("RGB", image.size)
random.seed(0)


def rate(transform):
    dataset = torchvision.datasets.ImageFolder(args.folder, transform)
    order = random.sample(range(len(dataset)), len(dataset))
    for index in order[:20]:
        dataset[index]
    cpu, count = time.process_time(), 0
    while time.process_time() - cpu < args.seconds:
        dataset[order[count % len(order)]]
        count += 1
    return count / (time.process_time() - cpu)


shared = {"input_size": 224, "is_training": True, "interpolation": "bicubic"}
plain = rate(create_transform(**shared, color_jitter=None, auto_augment=None, re_prob=0))
recipe = rate(create_transform(**shared, auto_augment="rand-m9-mstd0.5-inc1", re_prob=0.25, re_mode="pixel"))
print(json.dumps({"system": "timm", "version": f"timm {timm.__version__}, torchvision {torchvision.__version__}, pillow {PIL.__version__}", "imagesPerCpuSecond": plain, "recipe": {"imagesPerCpuSecond": recipe}}))
