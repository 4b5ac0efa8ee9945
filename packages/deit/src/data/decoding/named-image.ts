/** Images by name: the path of a file, or an address. */
import { fileURLToPath } from "node:url";
import type { RgbImage } from "../../augmentation/rgb-image.ts";
import { DataError, firstLine } from "../../errors.ts";
import { decodeImage, readImageFile } from "./decode.ts";

/** Bytes beyond which a download is not an image. */
const LARGEST = 2 ** 28;
const TIMEOUT_MS = 60_000;

/** Whether a name is an address (http:, https:, data:, file:), not a path. */
export function isImageAddress(name: string): boolean {
  return /^(?:https?|data|file):/i.test(name);
}

/** An address as messages and results show it: data: addresses hold the whole image. */
export function shownName(name: string): string {
  return /^data:/i.test(name) && name.length > 200 ? `${name.slice(0, 60)}…` : name;
}

/** RGB pixels of the image at a path or an address. @throws DataError for what is missing, damaged or no image */
export async function readNamedImage(
  name: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<RgbImage> {
  if (/^file:/i.test(name)) return readImageFile(fileURLToPath(name));
  if (!/^(?:https?|data):/i.test(name)) return readImageFile(name);
  const shown = shownName(name);
  return decodeImage(await download(name, { shown, signal }), shown);
}

async function download(
  url: string,
  { shown, signal }: { shown: string; signal: AbortSignal | undefined },
): Promise<Uint8Array> {
  const refuse = (problem: string, cause?: unknown): never => {
    throw new DataError(shown, `${shown} cannot be fetched: ${problem}`, {
      code: "data/image-not-fetched",
      hint: "Check the address, or download the image and give its path.",
      cause,
    });
  };
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await fetch(url, { signal: signal ? AbortSignal.any([signal, timeout]) : timeout });
    if (!response.ok) return refuse(`the server responded ${response.status} ${response.statusText}`.trim());
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of response.body ?? []) {
      parts.push(part);
      length += part.length;
      if (length > LARGEST) return refuse(`it is larger than ${LARGEST / 2 ** 20} MiB`);
    }
    return Buffer.concat(parts);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof DataError) throw error;
    return refuse(timeout.aborted ? `no response within ${TIMEOUT_MS / 1000} s` : reasonOf(error), error);
  }
}

/** fetch says "fetch failed"; its cause says why. */
function reasonOf(error: unknown): string {
  return firstLine(error instanceof Error && error.cause !== undefined ? error.cause : error);
}
