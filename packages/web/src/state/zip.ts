/** Zip files: read whole, written with their contents as they are. Loaded when one is needed. */
import { BlobReader, BlobWriter, configure, ZipReader, ZipWriter } from "@zip.js/zip.js";

configure({ useWebWorkers: false });

/** Bytes that a zip of images may unpack to. */
const MOST_BYTES = 4e9;

export async function readZip(blob: Blob): Promise<[path: string, file: File][]> {
  const reader = new ZipReader(new BlobReader(blob));
  const files: [string, File][] = [];
  let total = 0;
  for (const entry of await reader.getEntries()) {
    if (entry.directory) continue;
    total += entry.uncompressedSize;
    if (total > MOST_BYTES) throw new Error("this zip file unpacks to more than 4 GB");
    const content = await entry.getData(new BlobWriter());
    files.push([
      entry.filename,
      new File([content], entry.filename.split("/").at(-1) ?? "", { type: typeOf(entry.filename) }),
    ]);
  }
  await reader.close();
  return files;
}

export async function writeZip(
  files: AsyncIterable<readonly [string, Blob]> | Iterable<readonly [string, Blob]>,
): Promise<Blob> {
  const writer = new ZipWriter(new BlobWriter("application/zip"), { level: 0 });
  for await (const [path, content] of files) await writer.add(path, new BlobReader(content));
  return writer.close();
}

function typeOf(path: string): string {
  const ending = /\.(\w+)$/.exec(path)?.[1]?.toLowerCase() ?? "";
  return ending === "jpg" ? "image/jpeg" : ending === "" ? "" : `image/${ending}`;
}
