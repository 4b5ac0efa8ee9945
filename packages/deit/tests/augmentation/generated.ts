/** Images made by a formula, the same as in tests/golden/pil/record.py. */
import { createHash } from "node:crypto";
import type { RgbImage } from "../../src/augmentation/rgb-image.ts";

export type Kind = "gradient" | "checker" | "noise";

export function generate(width: number, height: number, kind: Kind): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++) for (let c = 0; c < 3; c++, i++) data[i] = value(x, y, c, kind);
  return { width, height, data };
}

function value(x: number, y: number, c: number, kind: Kind): number {
  if (kind === "gradient") return (x * (3 + c) + y * (5 - c) + 40 * c) % 256;
  if (kind === "checker") return ((Math.floor(x / (2 + c)) + Math.floor(y / 3)) % 2) * 255;
  const bits = (BigInt(x + 1) * 73856093n) ^ (BigInt(y + 1) * 19349663n) ^ (BigInt(c + 1) * 83492791n);
  return Number((bits / 64n) % 256n);
}

export function sha({ data }: RgbImage): string {
  return createHash("sha256").update(data).digest("hex").slice(0, 16);
}
