/** Files out of a .tar.gz, one at a time. Only names that are asked for are read; nothing is written anywhere. */
import { createReadStream } from "node:fs";
import { posix } from "node:path";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { createTarDecoder } from "modern-tar";
import { DataError } from "../../errors.ts";

/** Untrusted sizes: the largest file that any known dataset's archive holds is CIFAR-100's train.bin, 154 MB. */
const MAX_ENTRY_BYTES = 512 * 1024 * 1024;

/**
 * Calls `onFile` with each file of the archive whose base name is in `names`. Throws DataError when the archive is damaged or
 * lacks one of them.
 */
export async function readArchive(
  archive: string,
  names: readonly string[],
  onFile: (name: string, bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const missing = new Set(names);
  const input = createReadStream(archive);
  const gunzip = createGunzip();
  input.on("error", (error) => gunzip.destroy(error));
  const { readable, writable } = createTarDecoder({ strict: true });
  const feeding = Readable.toWeb(input.pipe(gunzip)).pipeTo(writable);
  feeding.catch(() => undefined); // the reader below fails with it
  try {
    for await (const { header, body } of readable) {
      const name = posix.basename(header.name);
      const isWanted = missing.has(name) && (header.type ?? "file") === "file";
      if (!isWanted) {
        for await (const _ of body); // cancelling it would stop the whole archive
        continue;
      }
      if (header.size > MAX_ENTRY_BYTES) throw new Error(`${name} has ${header.size} bytes`);
      const bytes = new Uint8Array(header.size);
      let done = 0;
      for await (const chunk of body) {
        bytes.set(chunk, done);
        done += chunk.length;
      }
      if (done !== header.size) throw new Error(`${name} is cut off`);
      missing.delete(name);
      await onFile(name, bytes);
    }
    await feeding;
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    if (cause instanceof Error && "code" in cause && String(cause.code).startsWith("E")) throw cause; // the disk's, not the archive's
    throw new DataError(archive, `${archive} is damaged: ${String(cause)}`, { code: "data/damaged", cause });
  } finally {
    input.destroy();
    gunzip.destroy();
  }
  if (missing.size > 0)
    throw new DataError(
      archive,
      `${archive} lacks ${[...missing].join(", ")}: it is not the archive that was expected`,
      { code: "data/damaged", hint: "Download it again." },
    );
}
