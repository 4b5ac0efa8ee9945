/** One image gives the same numbers in the page as in Node: decoded, upright, resized, cropped. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import type { Sharp } from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { build } from "vite";
import { decodeImage } from "../../deit/src/data/decoding/decode.ts";
import { serveStatic } from "../serve.ts";
import type { Opened } from "./page.ts";
import { chromium, openPage } from "./page.ts";
import { photo } from "./photos.ts";
import type { pixelsOf } from "./pixels-in-page.ts";
import { seenOf } from "./pixels-in-page.ts";

const drawn = async (width = 61, height = 47): Promise<Sharp> =>
  sharp(await (await photo("stripes", 3, { width, height })).png().toBuffer());

/** Colours with every alpha from 0 on. */
async function transparent(): Promise<Sharp> {
  const [width, height] = [40, 30];
  const data = Uint8Array.from({ length: 4 * width * height }, (_, i) => (i * 37 + (i >> 6)) % 256);
  return sharp(data, { raw: { width, height, channels: 4 } });
}

const CASES: readonly (readonly [string, string, () => Promise<Buffer>])[] = [
  ["JPEG", "image/jpeg", async () => (await drawn()).jpeg({ quality: 90 }).toBuffer()],
  [
    "JPEG without subsampling",
    "image/jpeg",
    async () => (await drawn()).jpeg({ chromaSubsampling: "4:4:4" }).toBuffer(),
  ],
  ["progressive JPEG", "image/jpeg", async () => (await drawn()).jpeg({ progressive: true }).toBuffer()],
  ["grey JPEG", "image/jpeg", async () => (await drawn()).grayscale().jpeg().toBuffer()],
  ["CMYK JPEG", "image/jpeg", async () => (await drawn()).toColourspace("cmyk").jpeg().toBuffer()],
  ...[2, 3, 4, 5, 6, 7, 8].map(
    (orientation) =>
      [
        `JPEG of orientation ${orientation}`,
        "image/jpeg",
        async () => (await drawn()).jpeg().withMetadata({ orientation }).toBuffer(),
      ] as const,
  ),
  ["PNG", "image/png", async () => (await drawn()).png().toBuffer()],
  ["PNG with a palette", "image/png", async () => (await drawn()).png({ palette: true }).toBuffer()],
  ["PNG of 16 bits", "image/png", async () => (await drawn()).toColourspace("rgb16").png().toBuffer()],
  ["PNG with alpha", "image/png", async () => (await transparent()).png().toBuffer()],
  ["WebP", "image/webp", async () => (await drawn()).webp().toBuffer()],
  ["lossless WebP", "image/webp", async () => (await drawn()).webp({ lossless: true }).toBuffer()],
  [
    "WebP with alpha",
    "image/webp",
    async () => (await transparent()).webp({ lossless: true, exact: true }).toBuffer(),
  ],
  ["large JPEG", "image/jpeg", async () => (await drawn(300, 220)).jpeg().toBuffer()],
];

/** The largest difference. */
function most(a: readonly number[], b: Uint8Array): number {
  return a.reduce((found, value, i) => Math.max(found, Math.abs(value - (b[i] ?? 0))), 0);
}

describe.skipIf(chromium === undefined)("an image in the page and in Node", { timeout: 120_000 }, () => {
  let folder = "";
  let opened: Opened;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "deit-pixels-"));
    await build({
      configFile: fileURLToPath(new URL("../vite.config.ts", import.meta.url)),
      logLevel: "error",
      plugins: [],
      build: {
        outDir: folder,
        emptyOutDir: true,
        copyPublicDir: false,
        lib: {
          entry: fileURLToPath(new URL("pixels-in-page.ts", import.meta.url)),
          formats: ["es"],
          fileName: "pixels",
        },
      },
    });
    await writeFile(
      join(folder, "index.html"),
      '<!doctype html><title>pixels</title><main><h1>pixels</h1></main><script type="module" src="pixels.js"></script>',
    );
    const server = await serveStatic(folder);
    opened = await openPage(server.url);
    afterAll(async () => {
      await opened[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    });
  }, 120_000);

  test.each(CASES)("%s", async (name, type, make) => {
    const bytes = await make();
    const there = await opened.page.evaluate(
      async ([content, kind]) =>
        (globalThis as unknown as { pixelsOf: typeof pixelsOf }).pixelsOf(content, kind),
      [[...bytes], type] as const,
    );
    const here = await decodeImage(bytes, "image");
    const seen = seenOf(here);
    expect([there.width, there.height]).toEqual([here.width, here.height]);
    expect(there.data).toHaveLength(here.data.length);
    // Chromium turns CMYK into RGB itself, and rounds otherwise.
    const [decodedMost, seenMost] = name === "CMYK JPEG" ? [1, 2] : [0, 0];
    expect(most(there.data, here.data)).toBeLessThanOrEqual(decodedMost);
    expect(most(there.seen, seen)).toBeLessThanOrEqual(seenMost);
  });
});
