/** Operations on pixel values alone, as Pillow's ImageOps and timm have them, bit for bit: most are a table of 256 values. */
import type { Picture } from "./picture.ts";

type Table = Uint8Array;

function tableOf(value: (x: number) => number): Table {
  return Uint8Array.from({ length: 256 }, (_, x) => value(x));
}

/** Applies one table to every channel. */
function lookUp({ width, height, data }: Picture, table: Table): Picture {
  const result = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) result[i] = table[data[i] as number] as number;
  return { width, height, data: result };
}

/** Applies a table to each channel, made from the channel's histogram; undefined leaves a channel as it is. */
function lookUpByHistogram(
  { width, height, data }: Picture,
  tableFor: (histogram: Uint32Array) => Table | undefined,
): Picture {
  const result = data.slice();
  const histogram = new Uint32Array(256);
  for (let channel = 0; channel < 3; channel++) {
    histogram.fill(0);
    for (let i = channel; i < data.length; i += 3) (histogram[data[i] as number] as number)++;
    const table = tableFor(histogram);
    if (table === undefined) continue;
    for (let i = channel; i < data.length; i += 3) result[i] = table[data[i] as number] as number;
  }
  return { width, height, data: result };
}

/** Stretches each channel to 0…255 (ImageOps.autocontrast). */
export function autoContrast(picture: Picture): Picture {
  return lookUpByHistogram(picture, (histogram) => {
    const low = histogram.findIndex((count) => count > 0);
    const high = histogram.findLastIndex((count) => count > 0);
    if (high <= low) return undefined;
    const scale = 255 / (high - low);
    const offset = -low * scale;
    return tableOf((x) => Math.min(Math.max(Math.trunc(x * scale + offset), 0), 255));
  });
}

/** Makes each channel's histogram flat (ImageOps.equalize). */
export function equalize(picture: Picture): Picture {
  return lookUpByHistogram(picture, (histogram) => {
    const used = histogram.filter((count) => count > 0);
    const total = used.reduce((sum, count) => sum + count, 0);
    const step = Math.floor((total - (used.at(-1) ?? 0)) / 255);
    if (used.length <= 1 || step === 0) return undefined;
    let n = Math.floor(step / 2);
    return tableOf((x) => {
      const value = Math.min(Math.floor(n / step), 255);
      n += histogram[x] as number;
      return value;
    });
  });
}

const INVERTED = tableOf((x) => 255 - x);

/** The negative (ImageOps.invert). */
export function invert(picture: Picture): Picture {
  return lookUp(picture, INVERTED);
}

/** Keeps the highest `bits` bits of each value, 0 to 8; 0 makes the picture black (ImageOps.posterize). */
export function posterize(picture: Picture, bits: number): Picture {
  const mask = (0xff << (8 - bits)) & 0xff;
  return lookUp(
    picture,
    tableOf((x) => x & mask),
  );
}

/** Inverts values from `threshold` on (ImageOps.solarize). */
export function solarize(picture: Picture, threshold = 128): Picture {
  return lookUp(
    picture,
    tableOf((x) => (x < threshold ? x : 255 - x)),
  );
}

/** Adds `amount` to values below `threshold` (timm's solarize_add). */
export function solarizeAdd(picture: Picture, amount: number, threshold = 128): Picture {
  return lookUp(
    picture,
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
export function grayscale({ width, height, data }: Picture): Picture {
  const result = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) result.fill(luma(data, i), i, i + 3);
  return { width, height, data: result };
}
