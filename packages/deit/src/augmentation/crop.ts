/**
 * Crops: the rectangles that torchvision and timm choose (CenterCrop, RandomCrop, RandomResizedCrop), and the
 * crop itself, which pads with black where the rectangle leaves the image.
 */
import { DeitError } from "../errors.ts";
import type { Random } from "../random.ts";
import { copyRegion } from "./resize.ts";
import type { RgbImage, Region } from "./rgb-image.ts";

/** What stands outside the image: black, the image mirrored at its border (torchvision's paddings constant 0 and reflect), or an RGB colour. */
export type Border = "black" | "reflect" | readonly [number, number, number];

/** The region of the image. */
export function crop(image: RgbImage, region: Region, border: Border = "black"): RgbImage {
  const { left, top, width, height } = region;
  if (left >= 0 && top >= 0 && left + width <= image.width && top + height <= image.height)
    return copyRegion(image, region);
  if (border === "reflect") return cropMirrored(image, region);
  const data = new Uint8Array(width * height * 3);
  if (border !== "black") for (let i = 0; i < data.length; i += 3) data.set(border, i);
  const from = Math.max(left, 0);
  const to = Math.min(left + width, image.width);
  if (from >= to) return { width, height, data };
  for (let y = Math.max(-top, 0); y < height && top + y < image.height; y++) {
    const row = (top + y) * image.width;
    data.set(image.data.subarray((row + from) * 3, (row + to) * 3), (y * width + from - left) * 3);
  }
  return { width, height, data };
}

/** The border itself is not repeated: −1 shows 1. */
function cropMirrored(image: RgbImage, { left, top, width, height }: Region): RgbImage {
  const mirror = (index: number, length: number): number => {
    const period = Math.max(2 * (length - 1), 1);
    const place = ((index % period) + period) % period;
    return place < length ? place : period - place;
  };
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, o = 0; y < height; y++) {
    const row = mirror(top + y, image.height) * image.width;
    for (let x = 0; x < width; x++, o += 3) {
      const i = (row + mirror(left + x, image.width)) * 3;
      data[o] = image.data[i] as number;
      data[o + 1] = image.data[i + 1] as number;
      data[o + 2] = image.data[i + 2] as number;
    }
  }
  return { width, height, data };
}

/** torchvision's CenterCrop to [height, width] of an image of that size: it pads a smaller image, and rounds half to even. */
export function centerCrop(
  image: { width: number; height: number },
  [height, width]: readonly [number, number],
): Region {
  return { left: centred(image.width, width), top: centred(image.height, height), width, height };
}

function centred(size: number, target: number): number {
  return target > size ? -Math.floor((target - size) / 2) : roundHalfEven((size - target) / 2);
}

/** torchvision's RandomCrop to [height, width] of the image padded by `padding` on every side; every position equally likely. */
export function randomCrop(
  random: Random,
  image: { width: number; height: number },
  { size: [height, width], padding }: { size: readonly [number, number]; padding: number },
): Region {
  const down = image.height + 2 * padding - height;
  const across = image.width + 2 * padding - width;
  if (down < 0 || across < 0)
    throw new DeitError(
      `random crop ${width}×${height} of an image ${image.width}×${image.height} padded by ${padding}`,
      { code: "image/argument" },
    );
  const top = random.integer(down + 1) - padding;
  return { left: random.integer(across + 1) - padding, top, width, height };
}

/**
 * RandomResizedCrop's rectangle as timm and torchvision draw it: at most 10 times area U(scale)·A and a log-uniform
 * aspect ratio (width / height); if none fits, the largest central rectangle within the ratios.
 */
export function randomResizedCrop(
  random: Random,
  { width, height }: { width: number; height: number },
  { scale, ratio }: { scale: readonly [number, number]; ratio: readonly [number, number] },
): Region {
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = random.uniform(scale[0], scale[1]) * (width * height);
    const aspect = Math.exp(random.uniform(Math.log(ratio[0]), Math.log(ratio[1])));
    const w = roundHalfEven(Math.sqrt(area * aspect));
    const h = roundHalfEven(Math.sqrt(area / aspect));
    // timm would pass 0 × n on to Pillow, which fails: an image of a few pixels just tries again
    if (w > width || h > height || w < 1 || h < 1) continue;
    const top = random.integer(height - h + 1);
    return { left: random.integer(width - w + 1), top, width: w, height: h };
  }
  const aspect = width / height;
  const w = aspect > ratio[1] ? Math.max(roundHalfEven(height * ratio[1]), 1) : width;
  const h = aspect < ratio[0] ? Math.max(roundHalfEven(width / ratio[0]), 1) : height;
  return { left: Math.floor((width - w) / 2), top: Math.floor((height - h) / 2), width: w, height: h };
}

/** Python's `round`: a half goes to the even neighbour. For x ≥ 0. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
