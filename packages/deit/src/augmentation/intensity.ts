/** Operations on pixel values alone, as Pillow's ImageOps and timm have them, bit for bit: most are a table of 256 values. */
import type { RgbImage } from "./rgb-image.ts";

/** The new value of every value 0…255; what is computed for it must lie in that range, and is cut off, not rounded. */
export function tableOf(value: (x: number) => number): Uint8Array {
  const table = new Uint8Array(256);
  for (let x = 0; x < 256; x++) table[x] = value(x);
  return table;
}

/** Applies one table to every channel. */
export function lookUp({ width, height, data }: RgbImage, table: Uint8Array): RgbImage {
  const result = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) result[i] = table[data[i] as number] as number;
  return { width, height, data: result };
}

/** Applies a table to each channel, made from the channel's 256 counts; undefined leaves a channel as it is. */
function lookUpByHistogram(
  image: RgbImage,
  tableFor: (histogram: Uint32Array) => Uint8Array | undefined,
): RgbImage {
  const { width, height, data } = image;
  const red = new Uint32Array(256);
  const green = new Uint32Array(256);
  const blue = new Uint32Array(256);
  for (let i = 0; i < data.length; i += 3) {
    (red[data[i] as number] as number)++;
    (green[data[i + 1] as number] as number)++;
    (blue[data[i + 2] as number] as number)++;
  }
  const newRed = tableFor(red) ?? IDENTITY;
  const newGreen = tableFor(green) ?? IDENTITY;
  const newBlue = tableFor(blue) ?? IDENTITY;
  const result = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    result[i] = newRed[data[i] as number] as number;
    result[i + 1] = newGreen[data[i + 1] as number] as number;
    result[i + 2] = newBlue[data[i + 2] as number] as number;
  }
  return { width, height, data: result };
}

const IDENTITY = tableOf((x) => x);
const INVERTED = tableOf((x) => 255 - x);

/** Stretches each channel to 0…255 (ImageOps.autocontrast). */
export function autoContrast(image: RgbImage): RgbImage {
  return lookUpByHistogram(image, (histogram) => {
    let low = 0;
    while (low < 255 && histogram[low] === 0) low++;
    let high = 255;
    while (high > 0 && histogram[high] === 0) high--;
    if (high <= low) return undefined;
    const scale = 255 / (high - low);
    const offset = -low * scale;
    return tableOf((x) => Math.min(Math.max(x * scale + offset, 0), 255));
  });
}

/** Makes each channel's histogram flat (ImageOps.equalize). */
export function equalize(image: RgbImage): RgbImage {
  const pixels = image.width * image.height;
  return lookUpByHistogram(image, (histogram) => {
    let high = 255;
    while (high > 0 && histogram[high] === 0) high--;
    // 0 also where the channel has one value only
    const step = Math.floor((pixels - (histogram[high] as number)) / 255);
    if (step === 0) return undefined;
    let n = Math.floor(step / 2);
    return tableOf((x) => {
      const value = Math.min(n / step, 255);
      n += histogram[x] as number;
      return value;
    });
  });
}

/** The negative (ImageOps.invert). */
export function invert(image: RgbImage): RgbImage {
  return lookUp(image, INVERTED);
}

/** Keeps the highest `bits` bits of each value, 0 to 8; 0 makes the image black (ImageOps.posterize). */
export function posterize(image: RgbImage, bits: number): RgbImage {
  const mask = (0xff << (8 - bits)) & 0xff;
  return lookUp(
    image,
    tableOf((x) => x & mask),
  );
}

/** Inverts values from `threshold` on (ImageOps.solarize). */
export function solarize(image: RgbImage, threshold = 128): RgbImage {
  return lookUp(
    image,
    tableOf((x) => (x < threshold ? x : 255 - x)),
  );
}

/** Adds `amount` to values below `threshold` (timm's solarize_add). */
export function solarizeAdd(image: RgbImage, amount: number, threshold = 128): RgbImage {
  return lookUp(
    image,
    tableOf((x) => (x < threshold ? Math.min(x + amount, 255) : x)),
  );
}

/** Luma of the pixel that begins at `i`, by ITU-R 601 in 16-bit fixed point: Pillow's mode L. */
export function luma(data: Uint8Array, i: number): number {
  const red = data[i] as number;
  const green = data[i + 1] as number;
  const blue = data[i + 2] as number;
  return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
}

/** Grey in all three channels. */
export function grayscale({ width, height, data }: RgbImage): RgbImage {
  const result = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    const grey = luma(data, i);
    result[i] = grey;
    result[i + 1] = grey;
    result[i + 2] = grey;
  }
  return { width, height, data: result };
}
