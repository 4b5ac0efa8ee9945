/** A folder of photographs as a phone and a computer leave it, and the commands that are run on it. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import sharp from "sharp";
import { createRandom } from "../../src/random.ts";

/** In the order of their indices. */
export const PHONE_CLASSES = ["bridge", "cat", "tree"] as const;
/** In all classes together; one file more is not an image. */
export const PHONE_PHOTOS = 15;

/** Colours of a photo of each class; noise is laid over them. */
const COLOURS = { bridge: [150, 95, 60], cat: [80, 140, 80], tree: [70, 90, 160] } as const;

/** bridge/IMG_0001.JPG, …: JPEG and PNG, upright and turned by EXIF, of 12 and of 3 megapixels, with what lies beside them. */
export async function writePhonePhotos(root: string): Promise<string> {
  for (const name of PHONE_CLASSES) {
    const folder = join(root, name);
    await mkdir(folder, { recursive: true });
    for (let i = 0; i < PHONE_PHOTOS / PHONE_CLASSES.length; i++) {
      const isLarge = name === "cat" && i === 0;
      const [width, height] = isLarge ? [4032, 3024] : i % 2 === 0 ? [2016, 1512] : [1512, 2016];
      const photo = sharp(await grain(COLOURS[name], i), { raw: { width: 64, height: 48, channels: 3 } })
        .resize(width, height, { fit: "fill" })
        .withMetadata({ orientation: i === 1 ? 6 : i === 2 ? 3 : 1 });
      const file = join(folder, `IMG_${String(i + 1).padStart(4, "0")}`);
      await (i === 3
        ? photo.resize(750, 1334, { fit: "fill" }).png().toFile(`${file}.PNG`)
        : photo.jpeg().toFile(`${file}.JPG`));
    }
    await writeFile(join(folder, "IMG_0001.MOV"), "a film");
    await writeFile(join(folder, ".DS_Store"), "");
    await writeFile(join(folder, "._IMG_0001.JPG"), "a resource fork");
  }
  await writeFile(join(root, "tree", "IMG_0009.JPG"), ""); // cut off by a full card
  return root;
}

async function grain(colour: readonly number[], seed: number): Promise<Uint8Array> {
  const random = createRandom(seed, "grain");
  return Uint8Array.from({ length: 64 * 48 * 3 }, (_, i) =>
    Math.min(255, Math.max(0, (colour[i % 3] ?? 0) + random.normal(0, 30))),
  );
}

/** "data info" and its like: every command that has none of its own. */
export function commandNames(program: Command, before: readonly string[] = []): string[] {
  return program.commands
    .filter((command) => command.name() !== "help")
    .flatMap((command) => {
      const path = [...before, command.name()];
      const inner = commandNames(command, path);
      return inner.length > 0 ? inner : [path.join(" ")];
    });
}

/** A recipe of seconds. */
export const TINY_FLAGS =
  "--model deit_w64d4_patch4_32 --input-size 16 --batch-size 4 --epochs 1 --warmup-epochs 0 --no-repeated-aug --val-split 0.2".split(
    " ",
  );
export const MACHINE_FLAGS = ["--device", "cpu", "--threads", "1"];
