/**
 * Inferno (Smith & van der Walt 2015, CC0), a colour map whose lightness rises evenly from black to pale yellow: more is
 * lighter, in grey and to colour-blind eyes, too.
 */

/** Evenly spaced, six hexadecimal digits each; between them the colours are mixed. */
const INFERNO =
  "0000040403130c0826170c3b240c4f330a5f420a68500d6c5d126e6b176e781c6d86216b932667a12b62ae305cbb3755c73e4cd24644dd513ae65c30ed6925f3771af8850ffb9506fca50afcb519fac62df6d645f2e661f3f484fcffa4";

const ANCHORS = Array.from({ length: INFERNO.length / 6 }, (_, i) =>
  [0, 2, 4].map((at) => Number.parseInt(INFERNO.slice(6 * i + at, 6 * i + at + 2), 16)),
);
const STEPS = 256;

/** 256 colours, red, green and blue one after the other: colour i is that of i / 255. */
export const COLOUR_TABLE: Uint8Array = Uint8Array.from({ length: 3 * STEPS }, (_, at) => {
  const place = (Math.floor(at / 3) / (STEPS - 1)) * (ANCHORS.length - 1);
  const below = Math.min(Math.floor(place), ANCHORS.length - 2);
  const [low = 0, high = 0] = [ANCHORS[below]?.[at % 3], ANCHORS[below + 1]?.[at % 3]];
  return Math.round(low + (place - below) * (high - low));
});

/** The colour of a number 0 to 1, as CSS has it. */
export function cssColour(value: number): string {
  const at = 3 * Math.round(Math.min(Math.max(value, 0), 1) * (STEPS - 1));
  return `rgb(${COLOUR_TABLE.subarray(at, at + 3).join(" ")})`;
}
