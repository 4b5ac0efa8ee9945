/** Whether images can be decoded: the image library is native code, too, and may be missing for a platform. */

/** Version of the library that decoded, or why it did not. */
export type ImagesTrial =
  | { readonly works: true; readonly version: string }
  | { readonly works: false; readonly message: string };

/** Writes a JPEG to memory and reads it. Never rejects. */
export async function tryImages(): Promise<ImagesTrial> {
  try {
    const { default: sharp } = await import("sharp");
    const gray = { width: 16, height: 8, channels: 3, background: { r: 128, g: 128, b: 128 } } as const;
    const jpeg = await sharp({ create: gray }).jpeg().toBuffer();
    const { data, info } = await sharp(jpeg).raw().toBuffer({ resolveWithObject: true });
    const right = info.width === 16 && info.height === 8 && Math.abs((data[0] ?? 0) - 128) <= 2;
    return right
      ? { works: true, version: sharp.versions.sharp ?? "unknown" }
      : { works: false, message: "a JPEG was decoded wrongly" };
  } catch (error) {
    const message = (error instanceof Error ? error.message : String(error)).trim().split("\n")[0] ?? "";
    return { works: false, message };
  }
}
