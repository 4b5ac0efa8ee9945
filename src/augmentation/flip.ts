/** Horizontal flip: left becomes right. */
import type { Picture } from "./picture.ts";

/** The mirror image. */
export function flip({ width, height, data }: Picture): Picture {
  const result = new Uint8Array(data.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0, o = ((y + 1) * width - 1) * 3; x < width; x++, i += 3, o -= 3) {
      result[o] = data[i] as number;
      result[o + 1] = data[i + 1] as number;
      result[o + 2] = data[i + 2] as number;
    }
  }
  return { width, height, data: result };
}
