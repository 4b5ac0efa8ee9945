/** Pulling onto a disk that fills at any moment: said in words, and gone on with once there is space. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PullRecipe } from "../../src/data/download/origins.ts";
import { archiveOrigin } from "../../src/data/download/origins.ts";
import { pullRecipe } from "../../src/data/download/download-dataset.ts";
import { pullWeights } from "../../src/data/download/download-weights.ts";
import { DataError } from "../../src/errors.ts";
import { canMountSmallDisk, mountSmallDisk } from "../formats/small-disk.ts";

/** Bytes that do not compress. */
const content = new Uint8Array(60_000);
for (let i = 0; i < content.length; i += 32) content.set(createHash("sha256").update(String(i)).digest(), i);
let archive = new Uint8Array();
let base = "";
const server = createServer((_, response) => void response.end(archive));
beforeAll(async () => {
  const header = { type: "file", mtime: new Date(0), name: "a.bin", size: content.length } as const;
  archive = gzipSync(await packTar([{ header, body: content }]));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  base = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
});
afterAll(() => server.close());

const recipe = (): PullRecipe => ({
  name: "cifar10",
  files: { "a.bin": content.length },
  origins: [
    archiveOrigin({
      url: `${base}/data.tar.gz`,
      md5: createHash("md5").update(archive).digest("hex"),
      files: ["a.bin"],
    }),
  ],
  archive: "data.tar.gz",
  space: 0, // the disk fills later than it looked
});

describe.skipIf(!canMountSmallDisk())("a disk of", () => {
  // Of one page: no lock; a few: no download; some: no unpacking; more: enough.
  it.each([4, 8, 12, 16, 20, 28, 40, 60, 80, 100, 120, 200])("%d KiB", async (kib) => {
    const disk = mountSmallDisk({ kib });
    try {
      const found = await pullRecipe(recipe(), { cacheDir: disk.path }).catch((error: unknown) => error);
      if (found instanceof Error) {
        expect(found).toBeInstanceOf(DataError);
        expect(found).toMatchObject({
          code: "files/not-written",
          message: expect.stringMatching(/no space .*\n.*DEIT_CACHE/),
        });
        expect(kib).toBeLessThan(200);
      } else expect(kib).toBeGreaterThan(100);
      execFileSync("mount", ["-o", "remount,size=1m", disk.path]);
      expect(await pullRecipe(recipe(), { cacheDir: disk.path })).toMatchObject({ bytes: content.length });
    } finally {
      disk.unmount();
    }
  });

  it.each([4, 8, 16, 24])("%d KiB does for no weights", async (kib) => {
    const disk = mountSmallDisk({ kib });
    try {
      const hash = createHash("sha256").update(archive).digest("hex").slice(0, 8);
      const pulled = pullWeights(`${base}/x-${hash}.pth`, { cacheDir: disk.path });
      await expect(pulled).rejects.toMatchObject({
        code: "files/not-written",
        message: expect.stringMatching(/no space .*\n.*DEIT_CACHE/),
      });
    } finally {
      disk.unmount();
    }
  });
});
