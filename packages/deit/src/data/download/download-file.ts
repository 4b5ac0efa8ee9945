/**
 * A file over HTTP: goes on where an earlier attempt stopped, gives up when the server is silent, and leaves a file
 * under its name only if it is whole and its checksum is right.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { DataError, DeitError } from "../../errors.ts";

/** Told about progress; `total` is undefined until the server says it. */
export type ProgressListener = (progress: { what: string; done: number; total: number | undefined }) => void;

export interface DownloadOptions {
  readonly url: string;
  readonly file: string;
  /** Where it grows until it is whole; default `file`.part. */
  readonly part?: string;
  /** Hash of the whole file; without one it is whole when the server says so. */
  readonly checksum: Checksum | undefined;
  /** How progress calls it; default its address. */
  readonly label?: string;
  /** Asks in another way, such as with a token; what it throws ends the download. */
  readonly fetch?: typeof fetch;
  /** Looks into what came, before it gets its name; what it throws ends the download, and the file is removed. */
  readonly check?: ((part: string) => Promise<void>) | undefined;
  /** What to do about a server that answered with this status, or not at all. */
  readonly advice?: (status: number | undefined) => string;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Give up after so long without a byte, in milliseconds. */
  readonly silence?: number;
}

export interface Checksum {
  /** "git" is the SHA-1 that git knows a file by. */
  readonly algorithm: "md5" | "sha256" | "sha512" | "git";
  /** In hexadecimal: all of it, or its beginning. */
  readonly digest: string;
}

/** How long a server may say nothing, in milliseconds. */
export const SILENCE = 10_000;
/** Attempts that each got a little further before the connection broke. */
const MAX_ATTEMPTS = 20;
/** Of them in a row that brought nothing. */
const MAX_FRUITLESS = 3;

/**
 * Downloads `url` to `file`. Throws DataError: unreachable, silent, refused, or not the file that it should be; and the
 * disk's own errors.
 */
export async function download(options: DownloadOptions): Promise<void> {
  const { url, file, checksum, part = `${file}.part` } = options;
  let fruitless = 0;
  for (let attempt = 1; ; attempt++) {
    const before = await sizeOf(part);
    try {
      await fetchRest({ ...options, part, start: before });
      break;
    } catch (cause) {
      options.signal?.throwIfAborted();
      if (isOfDisk(cause) || cause instanceof DeitError) throw cause;
      fruitless = (await sizeOf(part)) > before ? 0 : fruitless + 1;
      // what breaks off at once may do so by chance; who does not answer will not be asked again
      const mayGoOn = fruitless === 0 || (cause instanceof BrokenOff && fruitless < MAX_FRUITLESS);
      if (mayGoOn && attempt < MAX_ATTEMPTS) continue;
      const hint = options.advice?.(cause instanceof Refusal ? cause.status : undefined);
      throw new DataError(url, `${url}: ${explain(cause)}`, { code: "download/failed", hint, cause });
    }
  }
  const found = checksum && (await hashFile(part, checksum.algorithm));
  if (checksum !== undefined && found?.startsWith(checksum.digest) !== true) {
    await rm(part, { force: true }); // not worth going on with
    throw new DataError(
      url,
      `${url}: the downloaded file is damaged (its ${checksum.algorithm} is not ${checksum.digest} but ${found?.slice(0, checksum.digest.length)})`,
      {
        code: "download/damaged",
        hint: "The download was deleted. Retry; if the checksum fails again, the file at this address has changed.",
      },
    );
  }
  await options.check?.(part).catch(async (error: unknown) => {
    await rm(part, { force: true });
    throw error;
  });
  await rename(part, file);
}

/** An answer that is not the file. */
class Refusal extends Error {
  readonly status: number;
  constructor({ status, statusText }: Response, more = "") {
    super(`the server responded ${status} ${statusText} ${more}`.trimEnd());
    this.status = status;
  }
}

/** An answer that ended early. */
class BrokenOff extends Error {}

async function fetchRest({
  url,
  part,
  start,
  label = url,
  silence = SILENCE,
  fetch: ask = fetch,
  checksum,
  onProgress,
  signal,
}: DownloadOptions & { part: string; start: number }): Promise<void> {
  const silent = new AbortController();
  const giveUp = (): void => silent.abort(new Error(`no response for ${silence / 1000} s`));
  let timer = setTimeout(giveUp, silence);
  let body: ReadableStreamDefaultReader<Uint8Array> | undefined;
  try {
    const response = await ask(url, {
      // as it is, so that lengths and ranges are the file's own
      headers: { "accept-encoding": "identity", ...(start > 0 && { range: `bytes=${start}-` }) },
      signal: signal ? AbortSignal.any([signal, silent.signal]) : silent.signal,
    });
    if (response.status === 416 && start > 0) {
      const [, size] = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "") ?? [];
      // It is whole already; where the server does not say how long it is, the checksum will tell.
      if (size === undefined ? checksum !== undefined : Number(size) === start) return;
      await rm(part, { force: true }); // of another file than there is now
      throw new BrokenOff("the part downloaded before is longer than the file is now");
    }
    if (!response.ok || response.body === null) throw new Refusal(response);
    const resumed = response.status === 206;
    const [, from] = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "") ?? [];
    if (resumed && from !== undefined && Number(from) !== start)
      throw new Refusal(response, `which starts at byte ${from}, not ${start}`);
    let done = resumed ? start : 0;
    const length = Number(response.headers.get("content-length") ?? Number.NaN);
    const total = Number.isFinite(length) ? done + length : undefined;
    await using handle = await open(part, resumed ? "a" : "w");
    body = response.body.getReader();
    for (;;) {
      const { value: chunk, done: isEnd } = await body.read().catch((cause: unknown) => {
        throw silent.signal.aborted ? cause : new BrokenOff("the connection broke", { cause });
      });
      if (isEnd) break;
      clearTimeout(timer);
      await handle.writeFile(chunk);
      done += chunk.length;
      onProgress?.({ what: `downloading ${label}`, done, total });
      timer = setTimeout(giveUp, silence);
    }
    if (total !== undefined && done < total)
      throw new BrokenOff(`the connection ended after ${done} of ${total} bytes`);
  } finally {
    clearTimeout(timer);
    await body?.cancel().catch(() => undefined); // it is over, or failed already
  }
}

/** Whether the file's hash is the expected one. */
export async function matches(file: string, { algorithm, digest }: Checksum): Promise<boolean> {
  return (await hashFile(file, algorithm)).startsWith(digest);
}

export async function hashFile(file: string, algorithm: Checksum["algorithm"]): Promise<string> {
  const hash = createHash(algorithm === "git" ? "sha1" : algorithm);
  if (algorithm === "git") hash.update(`blob ${await sizeOf(file)}\0`);
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }))
    hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

/** Whether the disk and not the network is to blame: files are opened and written, connections are not. */
function isOfDisk(cause: unknown): boolean {
  return cause instanceof Error && "syscall" in cause && ["open", "write"].includes(String(cause.syscall));
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

/** What to do when there was no answer. */
export function networkAdvice(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const proxy = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"].find((name) => env[name]);
  return proxy !== undefined && env["NODE_USE_ENV_PROXY"] !== "1"
    ? `Check the network. ${proxy} is set; Node uses it only with NODE_USE_ENV_PROXY=1.`
    : "Check the network and try again: the part already downloaded is kept.";
}

/** fetch hides what happened ("fetch failed") one or two causes deep. */
export function explain(cause: unknown): string {
  let innermost = cause;
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause;
  if (!(innermost instanceof Error)) return String(innermost);
  return innermost.message || ("code" in innermost ? String(innermost.code) : innermost.name);
}
