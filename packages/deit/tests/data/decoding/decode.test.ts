import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { crc32 } from "node:zlib";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { createTransform } from "../../../src/augmentation/transform.ts";
import { resize } from "../../../src/augmentation/resize.ts";
import { decodeImage, readImageFile, isHeic } from "../../../src/data/decoding/decode.ts";
import { inFlight, lendPixels } from "../../../src/data/decoding/pixel-budget.ts";
import { readsHeic } from "../../../src/data/decoding/heic.ts";
import { DataError } from "../../../src/errors.ts";
import { createRandom } from "../../../src/random.ts";
import { generate, sha } from "../../augmentation/generated.ts";
import files from "../../golden/pil/files.json" with { type: "json" };
import heic from "../../golden/pil/heic.json" with { type: "json" };
import kinds from "../../golden/pil/kinds.json" with { type: "json" };
import golden from "../../golden/pil/images.json" with { type: "json" };
import { image, temporaryFolder, writeImage, writeText } from "../temporary.ts";

let folder = "";
beforeAll(async () => {
  folder = await temporaryFolder();
});
const at = (name: string): string => join(folder, name);

describe("kinds of files", () => {
  const generated = generate(20, 14, "noise");

  it.each(["png", "webp", "gif", "tiff"] as const)("%s keeps its pixels", async (format) => {
    const few = generate(20, 12, "checker"); // eight colours: a gif holds them
    await sharp(few.data, { raw: { width: 20, height: 12, channels: 3 } })
      .toFormat(
        format,
        format === "webp" ? { lossless: true } : format === "tiff" ? { compression: "lzw" } : {},
      )
      .toFile(at(`a.${format}`));
    expect(await readImageFile(at(`a.${format}`))).toEqual(few);
  });

  it.each(["jpg", "avif"])("%s is near its pixels", async (ending) => {
    await image(40, 30, "gradient").toFile(at(`a.${ending}`));
    const found = await readImageFile(at(`a.${ending}`));
    expect([found.width, found.height, found.data.length]).toEqual([40, 30, 3600]);
  });

  it("grey becomes three equal channels, of 8 and of 16 bits", async () => {
    const levels = Uint8Array.from({ length: 30 }, (_, i) => i * 8);
    await sharp(levels, { raw: { width: 6, height: 5, channels: 1 } })
      .toColourspace("b-w")
      .png()
      .toFile(at("grey.png"));
    const wide = Uint16Array.from(levels, (level) => level * 256 + 255);
    await sharp(wide, { raw: { width: 6, height: 5, channels: 1 } })
      .toColourspace("grey16")
      .png()
      .toFile(at("grey16.png"));
    expect((await sharp(at("grey16.png")).metadata()).depth).toBe("ushort");
    const expected = Uint8Array.from({ length: 90 }, (_, i) => levels[Math.floor(i / 3)] ?? 0);
    expect((await readImageFile(at("grey.png"))).data).toEqual(expected);
    expect((await readImageFile(at("grey16.png"))).data).toEqual(expected);
  });

  it("drops alpha without blending, as PIL", async () => {
    const rgba = Uint8Array.from({ length: 20 * 14 * 4 }, (_, i) =>
      i % 4 === 3 ? (i * 7) % 256 : (generated.data[Math.floor(i / 4) * 3 + (i % 4)] ?? 0),
    );
    await sharp(rgba, { raw: { width: 20, height: 14, channels: 4 } })
      .png()
      .toFile(at("alpha.png"));
    expect(await readImageFile(at("alpha.png"))).toEqual(generated);
    const greyAlpha = Uint8Array.from({ length: 24 }, (_, i) => (i % 2 === 1 ? 10 * i : 100 + i));
    await sharp(greyAlpha, { raw: { width: 4, height: 3, channels: 2 } })
      .png()
      .toFile(at("grey-alpha.png"));
    expect([...(await readImageFile(at("grey-alpha.png"))).data.subarray(0, 6)]).toEqual([
      100, 100, 100, 102, 102, 102,
    ]);
  });

  it.each(files.cases)("$name: PIL's pixels", async ({ base64, name, sha256 }) => {
    expect(sha(await decodeImage(Buffer.from(base64, "base64"), name))).toBe(sha256);
  });

  it.each(kinds.cases)(
    "$name: PIL's pixels, transparent ones too",
    async ({ base64, name, size, sha256 }) => {
      const found = await decodeImage(Buffer.from(base64, "base64"), name);
      expect([[found.width, found.height], sha(found)]).toEqual([size, sha256]);
    },
  );

  it.each([
    [1, 20, 14],
    [3, 20, 14],
    [6, 14, 20],
    [8, 14, 20],
  ])("applies EXIF orientation %d", async (orientation, width, height) => {
    await sharp(generated.data, { raw: { width: 20, height: 14, channels: 3 } })
      .withMetadata({ orientation })
      .png()
      .toFile(at(`exif${orientation}.png`));
    const found = await readImageFile(at(`exif${orientation}.png`));
    expect([found.width, found.height]).toEqual([width, height]);
    const first = { 1: 0, 3: 20 * 14 - 1, 6: 20 * 13, 8: 19 }[orientation] ?? -1; // the stored pixel that is shown first
    expect([...found.data.subarray(0, 3)]).toEqual([...generated.data.subarray(first * 3, first * 3 + 3)]);
  });
});

describe("broken files are named", () => {
  it.each(["jpg", "png", "webp", "gif", "tif"])("a %s cut off anywhere", async (ending) => {
    const file = at(`whole.${ending}`);
    await image(80, 60, "noise").toFile(file);
    const bytes = await readFile(file);
    for (const part of [0.3, 0.6, 0.9]) {
      await writeFile(at(`cut.${ending}`), bytes.subarray(0, Math.floor(bytes.length * part)));
      await expect(readImageFile(at(`cut.${ending}`))).rejects.toThrow(DataError);
      await expect(readImageFile(at(`cut.${ending}`))).rejects.toThrow(`cut.${ending} is not a whole image`);
    }
  });

  it("text, an empty file, no file", async () => {
    await writeText(at("text.jpg"), "this is not an image");
    await expect(readImageFile(at("text.jpg"))).rejects.toThrow(
      /text\.jpg is not a whole image: its content is not in a supported image format/,
    );
    await writeText(at("empty.jpg"), "");
    await expect(readImageFile(at("empty.jpg"))).rejects.toThrow(/empty\.jpg is empty/);
    await expect(readImageFile(at("none.jpg"))).rejects.toThrow(/none\.jpg cannot be read: ENOENT/);
  });

  it("an image of one pixel is whole", async () => {
    await writeImage(at("one.png"), 1, 1);
    expect((await readImageFile(at("one.png"))).data.length).toBe(3);
  });
});

const data = new URL("../../../../../../shared/data/", import.meta.url);
describe.skipIf(!existsSync(data))("real photographs (needs ../shared/data)", () => {
  it.each(golden.cases)(
    "$file is decoded, resized and cropped as by PIL and torchvision",
    async ({ file, decoded, evaluation, crop }) => {
      const generated = await readImageFile(new URL(file, data).pathname);
      expect(sha(generated)).toBe(decoded);
      const { width, height } = generated;
      const transform = createTransform({ mode: "evaluation", size: [224, 224] });
      expect(sha(transform.apply(generated, transform.draw(createRandom(0), width, height)))).toBe(
        evaluation,
      );
      const region = { left: 11, top: 7, width: width - 23 - 11, height: Math.floor(height / 2) - 7 };
      expect(sha(resize(generated, { width: 224, height: 224, region }))).toBe(crop);
    },
  );
});

describe("images as people have them", () => {
  it("HEIC, whatever it is called, where the optional decoder is installed", async () => {
    const bytes = Buffer.from(heic.base64, "base64");
    expect([readsHeic, isHeic(bytes)]).toEqual([true, true]);
    const found = await decodeImage(bytes, "IMG_1.jpg");
    expect([found.width, found.height]).toEqual(heic.size);
    for (const [x = 0, y = 0, ...expected] of heic.pixels) {
      const at = 3 * (y * found.width + x);
      for (const [c, value] of expected.entries())
        expect(Math.abs((found.data[at + c] ?? -99) - value)).toBeLessThanOrEqual(4);
    }
    for (const part of [40, 200, bytes.length - 50])
      expect(await failure(decodeImage(bytes.subarray(0, part), "cut.heic"))).toBe("data/broken-image");
  });

  it("AVIF begins as HEIC does, and is not taken for it", async () => {
    expect(isHeic(await image(20, 20).avif().toBuffer())).toBe(false);
  });

  it("a very large image is too large, not damaged, and takes no memory", async () => {
    const before = process.memoryUsage().rss;
    const bombs = [
      pngOf(20_000, 14_000),
      webpOf(16_383, 16_383),
      gifOf(65_535, 65_535),
      bmpOf(30_000, 30_000),
    ];
    const codes = await Promise.all(bombs.map(async (bytes) => failure(decodeImage(bytes, "bomb"))));
    expect(codes).toEqual(bombs.map(() => "data/image-too-large"));
    await expect(decodeImage(bombs[0] ?? new Uint8Array(), "p.png")).rejects.toThrow(
      /p\.png is too large: 20000 × 14000 are 280 million pixels, expected at most 178 million/,
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
  });

  it("very large images are decoded one after another", async () => {
    let [now, most] = [0, 0];
    const decode = async (): Promise<void> => {
      most = Math.max(most, ++now);
      await setTimeout(5);
      now--;
    };
    await Promise.all([100e6, 150e6, 1e6, 40e6].map(async (pixels) => inFlight(pixels, decode)));
    expect(most).toBe(2); // 1 and 40 together
    most = 0;
    await Promise.all([1, 2, 3].map(async () => inFlight(1e6, decode)));
    expect(most).toBe(3);
  });
});

it("very large images are decoded one after another by all threads; what a thread was at that ended is given back", async () => {
  const counts = new Int32Array(new SharedArrayBuffer(12));
  const start = (hangs: boolean): { worker: Worker; begun: Promise<unknown>; ended: Promise<unknown> } => {
    const { giveBack, ...pixels } = lendPixels();
    const workerData = { pixels, counts, hangs };
    const worker = new Worker(new URL("pixel-worker.ts", import.meta.url), { workerData });
    worker.on("exit", giveBack);
    return { worker, begun: once(worker, "message"), ended: once(worker, "exit") };
  };
  const hanging = start(true);
  await hanging.begun;
  const others = [start(false), start(false), start(false)];
  await setTimeout(100);
  expect([...counts]).toEqual([0, 1, 0]);
  await hanging.worker.terminate();
  await Promise.all(others.map(async ({ ended }) => ended));
  expect([...counts]).toEqual([0, 1, 9]);
  await inFlight(150e6, () => {}); // nothing is left of them
});

async function failure(promise: Promise<unknown>): Promise<string> {
  const error = await promise.catch((cause: unknown) => cause);
  if (error instanceof DataError) return error.code;
  throw new Error(`no DataError: ${String(error)}`);
}

/** A header, and no pixels. */
function pngOf(width: number, height: number): Uint8Array {
  const header = Buffer.alloc(25);
  header.writeUInt32BE(13, 0);
  header.write("IHDR", 4);
  header.writeUInt32BE(width, 8);
  header.writeUInt32BE(height, 12);
  header.set([8, 2], 16);
  header.writeUInt32BE(crc32(header.subarray(4, 21)), 21);
  const data = Buffer.from([0, 0, 0, 0, 0x49, 0x44, 0x41, 0x54, 0x35, 0xaf, 0x06, 0x1e]);
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]), header, data]);
}

/** The header alone of a lossless WebP. */
function webpOf(width: number, height: number): Uint8Array {
  const bytes = Buffer.alloc(34);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(26, 4);
  bytes.write("WEBPVP8L", 8);
  bytes.writeUInt32LE(14, 16);
  bytes[20] = 0x2f;
  bytes.writeUInt32LE(((width - 1) | ((height - 1) << 14)) >>> 0, 21);
  return bytes;
}

function gifOf(width: number, height: number): Uint8Array {
  const bytes = Buffer.alloc(40);
  bytes.write("GIF89a");
  bytes.writeUInt16LE(width, 6);
  bytes.writeUInt16LE(height, 8);
  return bytes;
}

function bmpOf(width: number, height: number): Uint8Array {
  const bytes = Buffer.alloc(60);
  bytes.write("BM");
  bytes.writeUInt32LE(54, 10);
  bytes.writeUInt32LE(40, 14);
  bytes.writeInt32LE(width, 18);
  bytes.writeInt32LE(height, 22);
  bytes.writeUInt16LE(24, 28);
  return bytes;
}
