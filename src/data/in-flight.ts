/** Bounds the pixels that are being decoded at a time in one thread: small images together, a very large one by itself. */

const MAX_IN_FLIGHT = 64e6;

let busy = 0;
const waiting: { readonly pixels: number; readonly start: () => void }[] = [];

/** Decodes when there is room. */
export async function inFlight<T>(pixels: number, decode: () => T | Promise<T>): Promise<T> {
  if (waiting.length > 0 || (busy > 0 && busy + pixels > MAX_IN_FLIGHT))
    await new Promise<void>((start) => waiting.push({ pixels, start }));
  else busy += pixels;
  try {
    return await decode();
  } finally {
    busy -= pixels;
    for (
      let next = waiting[0];
      next && (busy === 0 || busy + next.pixels <= MAX_IN_FLIGHT);
      next = waiting[0]
    ) {
      waiting.shift();
      busy += next.pixels;
      next.start();
    }
  }
}
