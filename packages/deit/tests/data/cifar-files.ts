/** CIFAR's files as the official archive has them, zeros but for the records given: sparse, so they take no space. */
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { type RgbImage, writePlanar } from "../../src/augmentation/rgb-image.ts";
import { CIFAR_LAYOUTS, type CifarName, PIXEL_BYTES } from "../../src/data/cifar.ts";

export async function writeCifar(
  folder: string,
  name: CifarName,
  records: Readonly<Record<number, { label: number; image: RgbImage }>>,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { train, test, labelBytes, recordsPerFile } = CIFAR_LAYOUTS[name];
  const recordBytes = labelBytes + PIXEL_BYTES;
  for (const [file, count] of [
    ...train.map((f) => [f, recordsPerFile.train] as const),
    ...test.map((f) => [f, recordsPerFile.test] as const),
  ]) {
    await using handle = await open(join(folder, file), "w");
    await handle.truncate(count * recordBytes);
    for (const [index, { label, image }] of Object.entries(records)) {
      const record = new Uint8Array(recordBytes);
      record[labelBytes - 1] = label;
      writePlanar(image, record, labelBytes);
      await handle.write(record, 0, recordBytes, Number(index) * recordBytes);
    }
  }
}
