/**
 * The first frame of a GIF as Pillow's `convert("RGB")` has it: transparent pixels keep the colour of their index, which
 * libvips makes black. Around a frame that is smaller than the image is the transparent index, or 0. Pure.
 */
import type { RgbImage } from "../../augmentation/rgb-image.ts";

/**
 * @param check throws when there are too many pixels, before they are decoded
 * @throws Error for a file that is cut off or damaged
 */
export function decodeGif(bytes: Uint8Array, check: (width: number, height: number) => void): RgbImage {
  const read = reader(bytes);
  read.skip(6); // GIF89a
  const [width, height] = [read.short(), read.short()];
  const flags = read.byte();
  read.skip(2);
  const common = flags & 0x80 ? read.bytes(3 << ((flags & 7) + 1)) : undefined;
  let transparent = 0;
  for (;;) {
    const kind = read.byte();
    if (kind === 0x21) {
      const label = read.byte();
      const block = read.blocks();
      if (label === 0xf9 && block.length >= 4 && ((block[0] ?? 0) & 1) === 1) transparent = block[3] ?? 0;
    } else if (kind === 0x2c) break;
    else throw new Error(kind === 0x3b ? "a GIF without an image" : `a damaged GIF (block ${kind})`);
  }
  const [left, top, frameWidth, frameHeight] = [read.short(), read.short(), read.short(), read.short()];
  const frame = read.byte();
  const palette = frame & 0x80 ? read.bytes(3 << ((frame & 7) + 1)) : common;
  if (frameWidth === 0 || frameHeight === 0) throw new Error("a GIF with an empty image");
  // as large as screen and frame together
  const size = { width: Math.max(width, left + frameWidth), height: Math.max(height, top + frameHeight) };
  check(size.width, size.height);
  const bits = read.byte();
  const indices = unpack(read.blocks(), bits, frameWidth * frameHeight);
  const whole = new Uint8Array(size.width * size.height).fill(transparent);
  const rows = frame & 0x40 ? interlaced(frameHeight) : undefined;
  for (let row = 0; row < frameHeight; row++) {
    const line = indices.subarray(row * frameWidth, (row + 1) * frameWidth);
    whole.set(line, (top + (rows?.[row] ?? row)) * size.width + left);
  }
  return { ...size, data: coloured(whole, palette) };
}

/** Indices as colours; those without one are grey. */
function coloured(indices: Uint8Array, palette: Uint8Array | undefined): Uint8Array {
  const colours = Uint8Array.from({ length: 768 }, (_, i) => palette?.[i] ?? Math.floor(i / 3));
  const data = new Uint8Array(3 * indices.length);
  for (let i = 0, o = 0; i < indices.length; i++) {
    let c = 3 * (indices[i] as number);
    data[o++] = colours[c++] as number;
    data[o++] = colours[c++] as number;
    data[o++] = colours[c] as number;
  }
  return data;
}

/** The row that each stored row is. */
function interlaced(height: number): number[] {
  const rows: number[] = [];
  for (const [first, step] of [
    [0, 8],
    [4, 8],
    [2, 4],
    [1, 2],
  ] as const)
    for (let row = first; row < height; row += step) rows.push(row);
  return rows;
}

/** LZW with codes of 3 to 12 bits. */
function unpack(packed: Uint8Array, bits: number, count: number): Uint8Array {
  if (bits < 1 || bits > 8) throw new Error(`a damaged GIF (codes of ${bits} bits)`);
  const out = new Uint8Array(count);
  const [clear, end] = [1 << bits, (1 << bits) + 1];
  const prefix = new Uint16Array(4096);
  const suffix = Uint8Array.from({ length: 4096 }, (_, i) => (i < clear ? i : 0));
  const first = suffix.slice(); // of each string
  const stack = new Uint8Array(4097);
  let [next, width, previous] = [clear + 2, bits + 1, -1];
  let [buffer, have, at, done] = [0, 0, 0, 0];
  while (done < count) {
    while (have < width) {
      if (at >= packed.length) throw new Error("a GIF that is cut off");
      buffer |= (packed[at++] as number) << have;
      have += 8;
    }
    const code = buffer & ((1 << width) - 1);
    buffer >>>= width;
    have -= width;
    if (code === clear) {
      [next, width, previous] = [clear + 2, bits + 1, -1];
      continue;
    }
    if (code === end) throw new Error("a GIF that is cut off");
    if (code > next || (code === next && previous < 0) || (previous < 0 && code >= clear))
      throw new Error("a damaged GIF");
    let depth = 0;
    let string = code;
    if (code === next) {
      stack[depth++] = first[previous] as number;
      string = previous;
    }
    for (; string >= clear; string = prefix[string] as number) stack[depth++] = suffix[string] as number;
    stack[depth++] = string;
    if (previous >= 0 && next < 4096) {
      prefix[next] = previous;
      suffix[next] = string;
      first[next] = first[previous] as number;
      next++;
      if (next === 1 << width && width < 12) width++;
    }
    previous = code;
    while (depth > 0 && done < count) out[done++] = stack[--depth] as number;
  }
  return out;
}

interface Reader {
  byte(): number;
  short(): number;
  bytes(count: number): Uint8Array;
  skip(count: number): void;
  /** Blocks of up to 255 bytes until an empty one. */
  blocks(): Uint8Array;
}

function reader(all: Uint8Array): Reader {
  let at = 0;
  const byte = (): number => {
    const value = all[at++];
    if (value === undefined) throw new Error("a GIF that is cut off");
    return value;
  };
  const bytes = (count: number): Uint8Array => {
    if (at + count > all.length) throw new Error("a GIF that is cut off");
    at += count;
    return all.subarray(at - count, at);
  };
  return {
    byte,
    short: () => byte() | (byte() << 8),
    bytes,
    skip: (count) => void bytes(count),
    blocks() {
      const parts: Uint8Array[] = [];
      for (let length = byte(); length > 0; length = byte()) parts.push(bytes(length));
      return Buffer.concat(parts);
    },
  };
}
