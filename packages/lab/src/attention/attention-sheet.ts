/** A sheet of images with names for its rows and columns and the scale of their colours, as PNG. */
import sharp from "sharp";
import type { OverlayOptions } from "sharp";
import { colour, cssColour, marksLayer, shape, text, textWidth, trueColour } from "deit-ts/charts";
import type { Html, Theme } from "deit-ts/charts";
import type { RgbImage } from "deit-ts/data";

export interface Sheet {
  readonly title: string;
  readonly subtitle: string;
  /** Above each column; a second line is quieter. */
  readonly columns: readonly (readonly [string, string?])[];
  /** Before each row; empty strings take no room. */
  readonly rows: readonly string[];
  /** All of one size; rows of as many as there are columns. */
  readonly cells: readonly (readonly RgbImage[])[];
  /** Stands before them all, as it is. */
  readonly pixels?: RgbImage;
  /** What the colours run from and to. */
  readonly scale: readonly [least: string, most: string];
}

const MARGIN = 24;
const GAP = 6;
/** Of the heading, down to the names of the columns. */
const HEADING = 74;
/** Room for the name of a row. */
const ROW_NAME = 62;
const LETTERS = { title: 19, subtitle: 13, label: 13 } as const;
const BAR = { width: 160, height: 10 } as const;

/** PNG bytes. */
export async function drawSheet(
  { title, subtitle, columns, rows, cells, pixels, scale }: Sheet,
  theme: Theme = "light",
): Promise<Uint8Array> {
  const [cell] = cells[0] ?? [];
  if (cell === undefined) throw new RangeError("a sheet of no images");
  const named = rows.some((name) => name !== "");
  const names = MARGIN + (pixels ? pixels.width + 3 * GAP : 0);
  const left = names + (named ? ROW_NAME : 0);
  const secondLine = columns.some(([, second]) => second !== undefined);
  const top = MARGIN + HEADING + (secondLine ? 20 : 0);
  const across = cells[0]?.length ?? 1;
  const width = Math.max(left + across * (cell.width + GAP) - GAP + MARGIN, 420);
  const end = top + Math.max(cells.length * (cell.height + GAP) - GAP, pixels?.height ?? 0);
  const height = end + 30 + MARGIN;
  const line = { x: MARGIN, maxWidth: width - 2 * MARGIN };
  const marks = [
    text(title, { ...line, y: MARGIN + 14, size: LETTERS.title, bold: true }),
    text(subtitle, { ...line, y: MARGIN + 34, size: LETTERS.subtitle, colour: colour("muted") }),
    ...columns.flatMap(([first, second], i) => {
      const place = { x: left + i * (cell.width + GAP), size: LETTERS.label, maxWidth: cell.width };
      return [
        text(first, { ...place, y: top - (secondLine ? 28 : 8), bold: true }),
        ...(second === undefined ? [] : [text(second, { ...place, y: top - 9, colour: colour("muted") })]),
      ];
    }),
    ...rows.map((name, i) =>
      text(name, {
        x: names,
        y: top + i * (cell.height + GAP) + cell.height / 2 + 5,
        size: LETTERS.label,
        bold: true,
        maxWidth: ROW_NAME - 6,
      }),
    ),
    ...colourScale(scale, { x: left, y: end + 20 }),
  ];
  const placed = (shown: RgbImage, x: number, y: number): OverlayOptions => ({
    input: Buffer.from(shown.data.buffer, shown.data.byteOffset, shown.data.length),
    raw: { width: shown.width, height: shown.height, channels: 3 },
    left: x,
    top: y,
  });
  const images = cells.flatMap((row, y) =>
    row.map((shown, x) => placed(shown, left + x * (cell.width + GAP), top + y * (cell.height + GAP))),
  );
  if (pixels) images.push(placed(pixels, MARGIN, top));
  return sharp({ create: { width, height, channels: 3, background: trueColour("surface", theme) } })
    .composite([...images, { input: marksLayer(marks, { width, height, theme }) }])
    .png()
    .toBuffer();
}

function colourScale([least, most]: Sheet["scale"], { x, y }: { x: number; y: number }): Html[] {
  const stops = Array.from({ length: 17 }, (_, i) =>
    shape("stop", { offset: i / 16, "stop-color": cssColour(i / 16) }),
  );
  const words = { y: y + BAR.height - 1, size: 12, colour: colour("muted") };
  const room = 8;
  const start = x + textWidth(least, words) + room;
  return [
    shape("linearGradient", { id: "scale" }, stops),
    text(least, { ...words, x }),
    shape("rect", { x: start, y, ...BAR, rx: 3, fill: "url(#scale)" }),
    text(most, { ...words, x: start + BAR.width + room }),
  ];
}
