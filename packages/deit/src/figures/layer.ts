/** Text and bars over images: an SVG layer for sharp, which writes letters in the fonts of the machine. */
import sharp from "sharp";
import type { Theme } from "./colours.ts";
import { literal } from "./colours.ts";
import type { Html } from "./html.ts";
import { shape } from "./shape.ts";
import { FONTS, text } from "./text.ts";

export function marksLayer(
  marks: readonly Html[],
  { width, height, theme = "light" }: { width: number; height: number; theme?: Theme },
): Buffer {
  const size = { width, height };
  const svg = shape("svg", { xmlns: "http://www.w3.org/2000/svg", ...size, "font-family": FONTS }, marks);
  return Buffer.from(literal(svg.text, theme));
}

/** Whether letters can be drawn: without a font every letter is the same box, as in small containers. */
export async function hasFonts(): Promise<boolean> {
  const [narrow, wide] = await Promise.all(
    ["il", "MW"].map(async (letters) => {
      const mark = text(letters, { x: 2, y: 20, size: 20 });
      return sharp(marksLayer([mark], { width: 60, height: 28 }))
        .raw()
        .toBuffer();
    }),
  );
  return narrow !== undefined && wide !== undefined && !narrow.equals(wide);
}
