/** Names on standard input: paths and addresses, one a line, or with a NUL after each, as `find -print0` writes them. */
import { ConfigError } from "../errors.ts";

/** How images begin that somebody may send instead of their names: JPEG, PNG, GIF, RIFF (WebP), BMP, TIFF. */
const IMAGES = /^(?:\xff\xd8\xff|\x89PNG|GIF8|RIFF|BM.{4}\0\0\0\0|II\*\0|MM\0\*)/s;

/** @throws ConfigError for an image in place of names, and when there are none */
export async function namesOnInput(input: AsyncIterable<Uint8Array> = process.stdin): Promise<string[]> {
  const parts: Uint8Array[] = [];
  for await (const part of input) {
    parts.push(part);
    if (parts.length === 1 && IMAGES.test(Buffer.from(part.subarray(0, 16)).toString("latin1")))
      throw new ConfigError(
        "image",
        "standard input holds an image: expected paths of images, one per line",
        {
          code: "options/value",
          hint: "Write it to a file and give its path.",
        },
      );
  }
  const text = Buffer.concat(parts).toString("utf8");
  const names = text.includes("\0") ? text.split("\0") : text.split(/\r?\n/);
  const given = names.filter((name) => name !== "");
  if (given.length > 0) return given;
  throw new ConfigError("image", "standard input holds no paths of images", {
    code: "options/missing",
    hint: "Write one per line, for example: find photos -name '*.jpg' | deit predict RUN -",
  });
}
