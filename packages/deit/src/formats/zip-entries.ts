/**
 * The entries of a ZIP archive that are stored as they are, read at any place: what torch.save writes, ZIP64 included.
 * Compressed entries are listed and refused when they are read. Node only.
 * Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
import type { FileHandle } from "node:fs/promises";
import { FormatError } from "../errors.ts";

export interface ZipEntry {
  readonly name: string;
  /** Bytes of the content. */
  readonly size: number;
  /** Part of the content, in memory of its own. @throws FormatError beyond its end, and for compressed entries */
  read(offset: number, length: number): Promise<Uint8Array>;
}

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
/** The end record with the longest comment. */
const LONGEST_END = 22 + 0xffff;
const MOST_ENTRIES = 250_000;
const IN_ZIP64 = 0xffffffff;

/** Lists an archive by its central directory. @throws FormatError when that does not describe the file */
export async function readZipEntries(handle: FileHandle, path: string): Promise<Map<string, ZipEntry>> {
  const { size: fileSize } = await handle.stat();
  const fail = (message: string): never => {
    throw new FormatError(path, message, {
      code: "checkpoint/damaged",
      hint: "It is cut off or damaged; get it again.",
    });
  };
  const readAt = async (position: number, length: number): Promise<DataView> => {
    if (!Number.isSafeInteger(position) || position < 0 || length < 0 || position + length > fileSize)
      return fail("is a ZIP archive that points beyond its end");
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, 1 << 26), position + done);
      if (bytesRead === 0) return fail("ended early");
      done += bytesRead;
    }
    return new DataView(bytes.buffer);
  };

  const tailStart = Math.max(0, fileSize - LONGEST_END);
  const tail = await readAt(tailStart, fileSize - tailStart);
  let at = tail.byteLength - 22;
  while (at >= 0 && tail.getUint32(at, true) !== END) at--;
  if (at < 0) return fail("is a ZIP archive without its directory, which stands at the end");
  let count = tail.getUint16(at + 10, true);
  let directorySize = tail.getUint32(at + 12, true);
  let directoryStart = tail.getUint32(at + 16, true);
  if (at >= 20 && tail.getUint32(at - 20, true) === LOCATOR_64) {
    const end = await readAt(Number(tail.getBigUint64(at - 12, true)), 56);
    if (end.getUint32(0, true) !== END_64) return fail("has a damaged ZIP64 directory");
    count = Number(end.getBigUint64(32, true));
    directorySize = Number(end.getBigUint64(40, true));
    directoryStart = Number(end.getBigUint64(48, true));
  }
  if (count > MOST_ENTRIES || count * 46 > directorySize) return fail(`says that it has ${count} entries`);
  const directory = await readAt(directoryStart, directorySize);
  const entries = new Map<string, ZipEntry>();
  let cursor = 0;
  for (let i = 0; i < count; i++) {
    if (cursor + 46 > directory.byteLength || directory.getUint32(cursor, true) !== CENTRAL)
      return fail("has a damaged ZIP directory");
    const method = directory.getUint16(cursor + 10, true);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((o) =>
      directory.getUint16(cursor + o, true),
    );
    const next = cursor + 46 + (nameLength ?? 0) + (extraLength ?? 0) + (commentLength ?? 0);
    if (next > directory.byteLength) return fail("has a damaged ZIP directory");
    const name = new TextDecoder().decode(new Uint8Array(directory.buffer, cursor + 46, nameLength));
    const { size, stored, start } = sizesOf(directory, cursor, {
      nameLength: nameLength ?? 0,
      extraLength: extraLength ?? 0,
    });
    if (entries.has(name)) return fail(`has the entry ${JSON.stringify(name.slice(0, 80))} twice`);
    if (start + stored > fileSize)
      return fail(`points beyond its end for ${JSON.stringify(name.slice(0, 80))}`);
    let content: number | undefined;
    entries.set(name, {
      name,
      size,
      async read(offset, length) {
        if (method !== 0 || stored !== size) {
          throw new FormatError(path, `holds ${JSON.stringify(name.slice(0, 80))} compressed`, {
            code: "checkpoint/unsupported",
            hint: "torch.save does not compress: unpack the archive, or save the weights again.",
          });
        }
        if (offset < 0 || length < 0 || offset + length > size)
          return fail(`ends within ${JSON.stringify(name.slice(0, 80))}`);
        if (content === undefined) {
          const local = await readAt(start, 30);
          if (local.getUint32(0, true) !== LOCAL)
            return fail(`has no entry where ${JSON.stringify(name.slice(0, 80))} should be`);
          content = start + 30 + local.getUint16(26, true) + local.getUint16(28, true);
        }
        return new Uint8Array((await readAt(content + offset, length)).buffer);
      },
    });
    cursor = next;
  }
  return entries;
}

/** Sizes and place of an entry; those that do not fit 32 bits stand in its ZIP64 field. */
function sizesOf(
  directory: DataView,
  cursor: number,
  { nameLength, extraLength }: { nameLength: number; extraLength: number },
): { size: number; stored: number; start: number } {
  let [stored, size, start] = [20, 24, 42].map((o) => directory.getUint32(cursor + o, true)) as [
    number,
    number,
    number,
  ];
  const extraEnd = cursor + 46 + nameLength + extraLength;
  for (let at = cursor + 46 + nameLength; at + 4 <= extraEnd;) {
    const [kind, length] = [directory.getUint16(at, true), directory.getUint16(at + 2, true)];
    let field = at + 4;
    const end = Math.min(field + length, extraEnd);
    if (kind === 1) {
      const take = (value: number): number => {
        if (value !== IN_ZIP64 || field + 8 > end) return value;
        field += 8;
        return Number(directory.getBigUint64(field - 8, true));
      };
      // in this order, and only those that are asked for
      size = take(size);
      stored = take(stored);
      start = take(start);
    }
    at = end;
    if (length === 0) at = field;
  }
  return { size, stored, start };
}
