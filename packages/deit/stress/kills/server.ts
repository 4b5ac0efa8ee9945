/** A server on this machine that gives a file slowly, whole or from a byte on. */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";

const CHUNK = 64 * 1024;

/** Serves `path`, an archive that is made if it ends in .tar.gz. */
export async function serveFile(
  path: string,
  { name = "data.tar.gz" }: { name?: string } = {},
): Promise<{ url: string; md5: string; close: () => Promise<void> }> {
  if (path.endsWith(".tar.gz")) await writeFile(path, await archive());
  const bytes = await readFile(path);
  const server = createServer((request, response) => {
    void (async () => {
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      if (start >= bytes.length) {
        response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
        return;
      }
      const range = { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
      response.writeHead(start > 0 ? 206 : 200, {
        "content-length": bytes.length - start,
        ...(start > 0 && range),
      });
      for (let at = start; at < bytes.length && !response.destroyed; at += CHUNK) {
        response.write(bytes.subarray(at, at + CHUNK));
        await sleep(15);
      }
      response.end();
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/files/${name}`,
    md5: createHash("md5").update(bytes).digest("hex"),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A megabyte that does not compress: a.bin and b.bin. */
async function archive(): Promise<Uint8Array> {
  const content = new Uint8Array(1_000_000);
  for (let i = 0, value = 1; i < content.length; i++) {
    value = (Math.imul(value, 1_103_515_245) + 12_345) >>> 0;
    content[i] = value >>> 16;
  }
  const header = { type: "file", mtime: new Date(0) } as const;
  return gzipSync(
    await packTar([
      { header: { ...header, name: "cifar/a.bin", size: content.length }, body: content },
      { header: { ...header, name: "cifar/b.bin", size: 3 }, body: Uint8Array.of(1, 2, 3) },
    ]),
  );
}
