/** Images of every format that is decoded. */
import sharp, { type Sharp } from "sharp";
import { readImageFile } from "../../src/data/decoding/decode.ts";
import heic from "../../tests/golden/pil/heic.json" with { type: "json" };
import type { Damage } from "./damage.ts";
import { damagedBytes, damagedHead, damagedPng } from "./damage.ts";
import type { Specimen } from "./specimen.ts";

const [WIDTH, HEIGHT] = [24, 20];

/** An image that is not of one colour. */
export function drawn(): Sharp {
  const data = Uint8Array.from({ length: 3 * WIDTH * HEIGHT }, (_, i) => (i * 37) % 251);
  return sharp(data, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });
}

function bmp(): Uint8Array {
  const bytes = Buffer.alloc(54 + 3 * WIDTH * HEIGHT, 90);
  bytes.fill(0, 0, 54);
  bytes.write("BM");
  bytes.writeUInt32LE(54, 10);
  bytes.writeUInt32LE(40, 14);
  bytes.writeInt32LE(WIDTH, 18);
  bytes.writeInt32LE(HEIGHT, 22);
  bytes.writeUInt16LE(24, 28);
  return bytes;
}

export async function images(): Promise<Specimen[]> {
  const other: Damage = (bytes, random) => damagedBytes(bytes, random, 0.3);
  const whole: readonly (readonly [string, Uint8Array, Damage])[] = [
    ["png", await drawn().png().toBuffer(), damagedPng],
    ["png with a palette", await drawn().png({ palette: true, progressive: true }).toBuffer(), damagedPng],
    ["jpeg", await drawn().jpeg().toBuffer(), other],
    [
      "jpeg of a phone",
      await drawn().jpeg({ progressive: true }).withMetadata({ orientation: 6 }).toBuffer(),
      other,
    ],
    ["cmyk jpeg", await drawn().toColourspace("cmyk").jpeg().toBuffer(), other],
    ["webp", await drawn().webp().toBuffer(), damagedHead],
    ["lossless webp", await drawn().webp({ lossless: true }).toBuffer(), damagedHead],
    ["gif", await drawn().gif().toBuffer(), other],
    ["bmp", bmp(), other],
    ["tiff", await drawn().tiff({ compression: "lzw" }).toBuffer(), other],
    ["avif", await drawn().avif().toBuffer(), other],
    ["heic", Buffer.from(heic.base64, "base64"), other],
  ];
  return whole.map(([kind, bytes, damage]) => ({
    kind,
    file: "image",
    bytes,
    beside: {},
    damage,
    async read(folder) {
      await readImageFile(`${folder}/image`);
    },
  }));
}
