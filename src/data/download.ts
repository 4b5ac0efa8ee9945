/**
 * A file over HTTP: goes on where an earlier attempt stopped, gives up when the server is silent, and leaves a file
 * under its name only if it is whole and its checksum is right.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { DataError } from "../errors.ts";

/** Told about progress; `total` is undefined until the server says it. */
export type ProgressListener = (progress: { what: string; done: number; total: number | undefined }) => void;

export interface DownloadOptions {
  readonly url: string;
  readonly file: string;
  /** Hash of the whole file. */
  readonly checksum: Checksum;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Give up after so long without a byte, in milliseconds. */
  readonly silence?: number;
}

export interface Checksum {
  readonly algorithm: "md5" | "sha256" | "sha512";
  /** In hexadecimal. */
  readonly digest: string;
}

/** Attempts that each got a little further before the connection broke. */
const MAX_ATTEMPTS = 20;

/** Downloads `url` to `file`. Throws DataError: unreachable, silent, refused, or not the file that it should be. */
export async function download(options: DownloadOptions): Promise<void> {
  const { url, file, checksum } = options;
  const part = `${file}.part`;
  for (let attempt = 1; ; attempt++) {
    const before = await sizeOf(part);
    try {
      await fetchRest({ ...options, part, start: before });
      break;
    } catch (cause) {
      options.signal?.throwIfAborted();
      if (isNoSpace(cause)) throw cause;
      const gotFurther = (await sizeOf(part)) > before;
      if (!gotFurther || attempt === MAX_ATTEMPTS)
        throw new DataError(url, `${url}: ${explain(cause)}`, { cause });
    }
  }
  if (!(await matches(part, checksum))) {
    await rm(part, { force: true }); // not worth going on with
    throw new DataError(
      url,
      `${url}: the file that came is damaged (its ${checksum.algorithm} is not ${checksum.digest})`,
      {
        hint: "It was thrown away. Try again.",
      },
    );
  }
  await rename(part, file);
}

async function fetchRest({
  url,
  part,
  start,
  silence = 10_000,
  onProgress,
  signal,
}: DownloadOptions & { part: string; start: number }): Promise<void> {
  const silent = new AbortController();
  const giveUp = (): void => silent.abort(new Error(`no answer for ${silence / 1000} s`));
  let timer = setTimeout(giveUp, silence);
  try {
    const response = await fetch(url, {
      headers: start > 0 ? { range: `bytes=${start}-` } : {},
      signal: signal ? AbortSignal.any([signal, silent.signal]) : silent.signal,
    });
    if (response.status === 416) return; // the part is whole already: the checksum will tell
    if (!response.ok || response.body === null)
      throw new Error(`the server answered ${response.status} ${response.statusText}`);
    const resumed = response.status === 206;
    let done = resumed ? start : 0;
    const length = Number(response.headers.get("content-length") ?? Number.NaN);
    const total = Number.isFinite(length) ? done + length : undefined;
    await using handle = await open(part, resumed ? "a" : "w");
    for await (const chunk of response.body) {
      clearTimeout(timer);
      await handle.writeFile(chunk);
      done += chunk.length;
      onProgress?.({ what: `downloading ${url}`, done, total });
      timer = setTimeout(giveUp, silence);
    }
    if (total !== undefined && done < total)
      throw new Error(`the connection ended after ${done} of ${total} bytes`);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the file's hash is the expected one. */
export async function matches(file: string, { algorithm, digest }: Checksum): Promise<boolean> {
  return (await hashFile(file, algorithm)) === digest;
}

export async function hashFile(file: string, algorithm: Checksum["algorithm"]): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }))
    hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

export function isNoSpace(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && (cause.code === "ENOSPC" || cause.code === "EDQUOT");
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    (entry) => entry.size,
    () => 0,
  );
}

/** fetch hides what happened ("fetch failed") one or two causes deep. */
function explain(cause: unknown): string {
  let innermost = cause;
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause;
  if (!(innermost instanceof Error)) return String(innermost);
  return innermost.message || ("code" in innermost ? String(innermost.code) : innermost.name);
}
