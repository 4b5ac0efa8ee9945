/** Photos of three kinds that are easy to tell apart, made here: no file of anybody's. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import type { Sharp } from "sharp";
import { createRandom } from "deit-ts/web";

/** What a pixel of each kind looks like, by place (0 to 1) and a phase. */
const KINDS: Readonly<
  Record<string, (x: number, y: number, phase: number) => readonly [number, number, number]>
> = {
  discs: (x, y, phase) => (Math.hypot(x - 0.5, y - 0.5) < 0.25 + 0.1 * phase ? [220, 70, 60] : [40, 60, 40]),
  sky: (x, y, phase) => [90 + 60 * y, 140 + 60 * y * phase, 225 - 20 * x],
  stripes: (x, _, phase) => (Math.sin((x + phase) * 40) > 0 ? [235, 220, 120] : [60, 50, 90]),
};

export const CLASSES = Object.keys(KINDS).toSorted();

export async function photo(kind: string, index: number, { width = 96, height = 72 } = {}): Promise<Sharp> {
  const random = createRandom(index, kind);
  const phase = random.uniform();
  const data = new Uint8Array(3 * width * height);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (const value of KINDS[kind]?.(x / width, y / height, phase) ?? [0, 0, 0])
        data[at++] = Math.min(255, Math.max(0, value + random.uniform(-18, 18)));
  return sharp(data, { raw: { width, height, channels: 3 } });
}

/** A folder of folders of JPEGs. */
export async function writePhotos(folder: string, images = 12): Promise<string> {
  for (const kind of CLASSES) {
    await mkdir(join(folder, kind), { recursive: true });
    for (let i = 0; i < images; i++)
      await writeFile(
        join(folder, kind, `${i}.jpg`),
        await (await photo(kind, i)).jpeg({ quality: 90 }).toBuffer(),
      );
  }
  return folder;
}
