/** Folders of generated images that are gone after the test file. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { afterFile } from "../../../../tests/setup/after-file.ts";
import { generate, type Kind } from "../augmentation/generated.ts";

export async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "deit-data-"));
  afterFile(async () => rm(path, { recursive: true, force: true }));
  return path;
}

export function image(width: number, height: number, kind: Kind = "gradient"): Sharp {
  return sharp(generate(width, height, kind).data, { raw: { width, height, channels: 3 } });
}

export async function writeImage(
  path: string,
  width = 12,
  height = 10,
  kind: Kind = "gradient",
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await image(width, height, kind).toFile(path);
}

/** A folder of classes: { cat: 3 } makes cat/0.png … cat/2.png, all different. */
export async function writeClasses(root: string, classes: Readonly<Record<string, number>>): Promise<void> {
  let width = 8;
  for (const [name, count] of Object.entries(classes)) {
    await mkdir(join(root, name), { recursive: true });
    for (let i = 0; i < count; i++) await writeImage(join(root, name, `${i}.png`), width++, 9, "noise");
  }
}

export async function writeText(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}
