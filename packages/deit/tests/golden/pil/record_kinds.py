"""Records what Pillow's convert("RGB") makes of kinds of files: transparency, palettes, frames, 16 bits, BMP.

    python tests/golden/pil/record_kinds.py        needs pillow

Writes kinds.json: the files themselves (small) and hashes of their pixels.
"""
import base64, hashlib, io, json, pathlib, struct, zlib
import PIL
from PIL import Image

HERE = pathlib.Path(__file__).parent
WIDTH, HEIGHT = 13, 11


def make_image():
    image = Image.new("RGB", (WIDTH, HEIGHT))
    image.putdata([((7 * x + 3 * y) % 256, (11 * y + 40) % 256, (5 * x * y) % 256) for y in range(HEIGHT) for x in range(WIDTH)])
    return image


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png(bits, colour, rows, *chunks):
    """A PNG of rows of bytes; Pillow does not write 16 bits of colour."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, len(rows), bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunk(*one) for one in chunks) + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))) + chunk(b"IEND", b"")


def sixteen(channels):
    return [b"".join(struct.pack(">H", (x * 4099 + y * 257 * (c + 1) + 77 * c) % 65536) for x in range(WIDTH) for c in range(channels)) for y in range(HEIGHT)]


def moved(gif, left, top, screen):
    """The same frame elsewhere on a larger screen."""
    data = bytearray(gif)
    data[6:10] = struct.pack("<HH", *screen)
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    while data[at] == 0x21:
        at += 2
        while data[at]:
            at += data[at] + 1
        at += 1
    assert data[at] == 0x2C
    data[at + 1 : at + 5] = struct.pack("<HH", left, top)
    return bytes(data)


def bmp(bits, rows, *, compression=0, palette=b"", masks=b"", down=False, header=40):
    pixels = rows if isinstance(rows, bytes) else b"".join(row + b"\0" * (-len(row) % 4) for row in rows)
    offset = 14 + header + (len(masks) if header == 40 else 0) + len(palette)
    if header == 12:
        info = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, WIDTH, -HEIGHT if down else HEIGHT, 1, bits, compression, len(pixels), 0, 0, len(palette) // 4, 0)
        info += masks
        info += b"\0" * (header - len(info)) if header > 40 else b""
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + info + palette + pixels


def kinds():
    image = make_image()
    palette = image.quantize(16)
    many = image.quantize(64)
    alpha = Image.merge("RGBA", [*image.split(), image.getchannel(2)])
    gif = saved(palette, "GIF", transparency=int(palette.getpixel((0, 0))), interlace=0)
    plain = saved(palette, "GIF", interlace=0)
    values = [[(x * 7 + y * 13) % 256 for x in range(WIDTH)] for y in range(HEIGHT)]
    grey = b"".join(bytes([i, 255 - i, i // 2, 0]) for i in range(256))
    short = [b"".join(struct.pack("<H", (x * 2049 + y * 777) % 65536) for x in range(WIDTH)) for y in range(HEIGHT)]
    long = [b"".join(struct.pack("<I", (x * 20490001 + y * 7770013) % 2**32) for x in range(WIDTH)) for y in range(HEIGHT)]
    masks565 = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    runs8 = b"".join(b"".join(bytes([1, v]) for v in row[:6]) + bytes([0, 7, *row[6:13], 0]) + b"\0\0" for row in values) + b"\0\1"
    runs4 = (bytes([5, 0x12, 8, 0x34]) + b"\0\0" + bytes([0, 5, 0x12, 0x34, 0x50, 0, 8, 0x67]) + b"\0\0") * 5 + bytes([13, 0x70]) + b"\0\1"
    return {
        "transparent.gif": gif,
        "transparent-interlaced.gif": saved(palette, "GIF", transparency=2, interlace=1),
        "many-colours.gif": saved(many, "GIF", interlace=1),
        "grey.gif": saved(image.convert("L"), "GIF"),
        "two-colours.gif": saved(image.convert("1"), "GIF"),
        "small-frame.gif": moved(plain, 2, 3, (20, 18)),
        "small-transparent-frame.gif": moved(gif, 4, 1, (19, 15)),
        "large-frame.gif": moved(plain, 3, 2, (5, 4)),
        "animated.gif": saved(palette, "GIF", save_all=True, append_images=[many], transparency=1),
        "transparent-palette.png": saved(palette, "PNG", transparency=5),
        "alpha-palette.png": saved(palette, "PNG", transparency=bytes(range(0, 256, 16))),
        "colour-key.png": saved(image, "PNG", transparency=image.getpixel((1, 1))),
        "grey-key.png": saved(image.convert("L"), "PNG", transparency=40),
        "alpha.png": saved(alpha, "PNG"),
        "grey-alpha.png": saved(alpha.convert("LA"), "PNG"),
        "rgb-16.png": png(16, 2, sixteen(3)),
        "rgba-16.png": png(16, 6, sixteen(4)),
        "grey-alpha-16.png": png(16, 4, sixteen(2)),
        "alpha.webp": saved(alpha, "WEBP", lossless=True, exact=True),
        "alpha.tif": saved(alpha, "TIFF"),
        "palette.tif": saved(palette, "TIFF"),
        "cmyk.jpg": saved(image.convert("CMYK"), "JPEG", quality=95),
        "1.bmp": saved(image.convert("1"), "BMP"),
        "palette.bmp": saved(palette, "BMP"),
        "8.bmp": bmp(8, [bytes(row) for row in values], palette=grey),
        "4.bmp": bmp(4, [bytes((row[i] & 0xF0) | (row[i + 1] & 15 if i + 1 < WIDTH else 0) for i in range(0, WIDTH, 2)) for row in values], palette=grey[:64]),
        "24.bmp": saved(image, "BMP"),
        "24-down.bmp": bmp(24, [bytes(v for p in row for v in (p, 255 - p, p // 3)) for row in values], down=True),
        "24-old.bmp": bmp(24, [bytes(v for p in row for v in (p, 255 - p, p // 3)) for row in values], header=12),
        "32.bmp": saved(alpha, "BMP"),
        "32-plain.bmp": bmp(32, long),
        "16.bmp": bmp(16, short),
        "565.bmp": bmp(16, short, compression=3, masks=masks565),
        "565-v4.bmp": bmp(16, short, compression=3, masks=masks565, header=108),
        "rle8.bmp": bmp(8, runs8, compression=1, palette=grey),
        "rle4.bmp": bmp(4, runs4, compression=2, palette=grey[:64]),
    }


cases = []
for name, data in kinds().items():
    try:
        image = Image.open(io.BytesIO(data)).convert("RGB")
    except Exception as error:
        print(name, "is not read by Pillow:", error)
        continue
    sha = hashlib.sha256(image.tobytes()).hexdigest()[:16]
    cases.append({"name": name, "size": list(image.size), "base64": base64.b64encode(data).decode(), "sha256": sha})
text = json.dumps({"versions": {"pillow": PIL.__version__}, "cases": cases})
(HERE / "kinds.json").write_text(text.replace("}, {", "},\n{") + "\n")

# HEIC is lossy and decoders differ: the file, and colours of a few pixels. Needs pillow-heif.
import pillow_heif

pillow_heif.register_heif_opener()
image = make_image().resize((64, 48), Image.NEAREST)
data = saved(image, "HEIF", quality=90)
read = Image.open(io.BytesIO(data)).convert("RGB")
places = [(5, 5), (40, 20), (60, 44)]
heic = {"size": list(read.size), "base64": base64.b64encode(data).decode(), "pixels": [[x, y, *read.getpixel((x, y))] for x, y in places]}
(HERE / "heic.json").write_text(json.dumps({"versions": {"pillow_heif": pillow_heif.__version__}, **heic}) + "\n")
