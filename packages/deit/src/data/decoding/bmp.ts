/** BMP files to RGB as Pillow reads them: 1 to 32 bits a pixel, palettes, bit fields, run lengths. Pure. */
import type { RgbImage } from "../../augmentation/rgb-image.ts";

export interface BmpHeader {
  readonly width: number;
  readonly height: number;
  /** The first stored row is the top one. */
  readonly topDown: boolean;
  readonly bits: number;
  readonly compression: number;
  /** Where the pixels begin. */
  readonly offset: number;
  readonly palette: Uint8Array;
  /** Red, green, blue; only with bit fields. */
  readonly masks: readonly [number, number, number];
}

const [RGB, RLE8, RLE4, BIT_FIELDS, ALPHA_BIT_FIELDS] = [0, 1, 2, 3, 6];

/** @throws Error for a kind of BMP that is not read */
export function bmpHeader(bytes: Uint8Array): BmpHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = view.getUint32(14, true);
  if (size !== 12 && (size < 40 || size > 1024)) throw new Error(`a BMP header of ${size} bytes`);
  const isOld = size === 12; // OS/2
  const width = isOld ? view.getUint16(18, true) : view.getInt32(18, true);
  const stored = isOld ? view.getUint16(20, true) : view.getInt32(22, true);
  const bits = view.getUint16(isOld ? 24 : 28, true);
  const compression = isOld ? RGB : view.getUint32(30, true);
  const height = Math.abs(stored);
  if (width <= 0 || height === 0) throw new Error(`a BMP of ${width} × ${stored} pixels`);
  if (![1, 2, 4, 8, 16, 24, 32].includes(bits)) throw new Error(`a BMP of ${bits} bits a pixel`);
  if (![RGB, RLE8, RLE4, BIT_FIELDS, ALPHA_BIT_FIELDS].includes(compression))
    throw new Error(`a BMP of compression ${compression}`);
  const hasMasks = compression === BIT_FIELDS || compression === ALPHA_BIT_FIELDS;
  const masksAfter = hasMasks && size === 40 ? (compression === BIT_FIELDS ? 12 : 16) : 0;
  const entry = isOld ? 3 : 4;
  const used = isOld ? 0 : view.getUint32(46, true);
  const colours = bits > 8 ? 0 : Math.min(used || 1 << bits, 256);
  const first = 14 + size + masksAfter;
  const palette = new Uint8Array(768);
  for (let i = 0; i < colours; i++)
    for (let c = 0; c < 3; c++) palette[3 * i + c] = bytes[first + entry * i + 2 - c] ?? 0;
  return {
    width,
    height,
    topDown: stored < 0,
    bits,
    compression,
    offset: view.getUint32(10, true),
    palette,
    masks: hasMasks
      ? [view.getUint32(54, true), view.getUint32(58, true), view.getUint32(62, true)]
      : bits === 16
        ? [0x7c00, 0x3e0, 0x1f]
        : [0xff0000, 0xff00, 0xff],
  };
}

/** @throws Error for a file that is cut off or of an unsupported type */
export function decodeBmp(bytes: Uint8Array): RgbImage {
  const header = bmpHeader(bytes);
  const { width, height, topDown, bits, compression } = header;
  const data = new Uint8Array(3 * width * height);
  const rowStart = (stored: number): number => 3 * width * (topDown ? stored : height - 1 - stored);
  const pixels = bytes.subarray(header.offset);
  if (compression === RLE8 || compression === RLE4) {
    const indices = unpackRuns(pixels, header);
    for (let y = 0; y < height; y++) paint(indices.subarray(y * width, (y + 1) * width), rowStart(y));
    return { width, height, data };
  }
  const stride = 4 * Math.ceil((bits * width) / 32);
  if (pixels.length < stride * (height - 1) + Math.ceil((bits * width) / 8))
    throw new Error("a BMP that is cut off");
  const line = new Uint8Array(width);
  const channel = header.masks.map(channelOf);
  for (let y = 0; y < height; y++) {
    const start = stride * y;
    let o = rowStart(y);
    if (bits <= 8) {
      const perByte = 8 / bits;
      for (let x = 0; x < width; x++) {
        const byte = pixels[start + Math.floor(x / perByte)] as number;
        line[x] = (byte >> (8 - bits * ((x % perByte) + 1))) & ((1 << bits) - 1);
      }
      paint(line, o);
      continue;
    }
    const step = bits / 8;
    for (let x = 0, p = start; x < width; x++, p += step) {
      let value = 0;
      for (let i = step - 1; i >= 0; i--) value = value * 256 + (pixels[p + i] as number);
      for (const of of channel) data[o++] = of(value);
    }
  }
  return { width, height, data };

  function paint(indices: Uint8Array, start: number): void {
    let o = start;
    for (const index of indices)
      for (let c = 0; c < 3; c++) data[o++] = header.palette[3 * index + c] as number;
  }
}

/** Reads a channel of a pixel as 8 bits. */
function channelOf(mask: number): (value: number) => number {
  if (mask === 0) return () => 0;
  const shift = 31 - Math.clz32(mask & -mask);
  const most = mask / 2 ** shift;
  if (most === 255) return (value) => Math.floor(value / 2 ** shift) & 255;
  return (value) => Math.floor(((Math.floor(value / 2 ** shift) & most) * 255) / most);
}

/** Indices row by row; what is skipped is 0. */
function unpackRuns(packed: Uint8Array, { width, height, compression }: BmpHeader): Uint8Array {
  const indices = new Uint8Array(width * height);
  const isByte = compression === RLE8;
  let [x, y, at] = [0, 0, 0];
  const put = (index: number): void => {
    if (x < width && y < height) indices[y * width + x] = index;
    x++;
  };
  const next = (): number => {
    const value = packed[at++];
    if (value === undefined) throw new Error("a BMP that is cut off");
    return value;
  };
  while (y < height) {
    const [count, value] = [next(), next()];
    if (count > 0) {
      for (let i = 0; i < count; i++) put(isByte ? value : i % 2 === 0 ? value >> 4 : value & 15);
    } else if (value === 0) [x, y] = [0, y + 1];
    else if (value === 1) break;
    else if (value === 2) [x, y] = [x + next(), y + next()];
    else {
      const length = isByte ? value : Math.ceil(value / 2);
      for (let i = 0; i < length; i++) {
        const byte = next();
        if (isByte) put(byte);
        else {
          put(byte >> 4);
          if (2 * i + 1 < value) put(byte & 15);
        }
      }
      if (length % 2 === 1) at++;
    }
  }
  return indices;
}
