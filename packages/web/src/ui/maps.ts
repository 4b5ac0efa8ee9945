/** Maps over patches, drawn over a grey image: what is strong keeps its colour and light. */
import type { LookResult } from "../engine/engine.worker.ts";
import type { Inside } from "../engine/inspect.ts";

type Seen = Pick<LookResult, "seen" | "size">;

/** The image with its patches; the one at `at` is framed. */
export function drawPatches(
  canvas: HTMLCanvasElement,
  { seen, size }: Seen,
  { grid, at }: { grid: readonly [number, number]; at: number },
): void {
  const [height, width] = size;
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.putImageData(new ImageData(new Uint8ClampedArray(seen), width, height), 0, 0);
  const [rows, columns] = grid;
  context.strokeStyle = "rgb(255 255 255 / 45%)";
  context.lineWidth = 1;
  context.beginPath();
  for (let row = 1; row < rows; row++) {
    context.moveTo(0, (row * height) / rows);
    context.lineTo(width, (row * height) / rows);
  }
  for (let column = 1; column < columns; column++) {
    context.moveTo((column * width) / columns, 0);
    context.lineTo((column * width) / columns, height);
  }
  context.stroke();
  frame(context, { grid, at, width, height });
}

/** A map over the image; `side`: of the canvas, default the image's own. */
export function drawMap(
  canvas: HTMLCanvasElement,
  { seen, size }: Seen,
  { grid, map, at, side }: { grid: readonly [number, number]; map: Float32Array; at?: number; side?: number },
): void {
  const [fromHeight, fromWidth] = size;
  const [height, width] = side === undefined ? size : [side, side];
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  if (context === null) return;
  // the strongest few patches may not hide the rest
  const sorted = map.toSorted();
  const low = sorted[Math.floor(0.05 * sorted.length)] ?? 0;
  const high = sorted[Math.floor(0.99 * (sorted.length - 1))] ?? 1;
  const strength = map.map((value) => Math.min(1, Math.max(0, (value - low) / Math.max(1e-12, high - low))));
  const pixels = new ImageData(width, height);
  const [rows, columns] = grid;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from =
        (Math.floor((y * fromHeight) / height) * fromWidth + Math.floor((x * fromWidth) / width)) * 4;
      const to = (y * width + x) * 4;
      const s = smooth(strength, {
        rows,
        columns,
        y: ((y + 0.5) / height) * rows - 0.5,
        x: ((x + 0.5) / width) * columns - 0.5,
      });
      const [r = 0, g = 0, b = 0] = [seen[from], seen[from + 1], seen[from + 2]];
      const grey = 0.5 * (0.299 * r + 0.587 * g + 0.114 * b) + 20;
      pixels.data[to] = grey + s * (Math.min(255, r * 1.05 + 30) - grey);
      pixels.data[to + 1] = grey + s * (Math.min(255, g * 1.05 + 18) - grey);
      pixels.data[to + 2] = grey + s * (b - grey);
      pixels.data[to + 3] = 255;
    }
  }
  context.putImageData(pixels, 0, 0);
  if (at !== undefined) frame(context, { grid, at, width, height });
}

/** Cosine of each patch's token with that of the patch at `at`, in a layer. */
export function cosines(
  { states, prefix, width }: Inside,
  { layer, at }: { layer: number; at: number },
): Float32Array {
  const state = states[layer] ?? new Float32Array();
  const tokens = state.length / width - prefix;
  const token = (index: number): Float32Array =>
    state.subarray((prefix + index) * width, (prefix + index + 1) * width);
  const dot = (a: Float32Array, b: Float32Array): number => {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += (a[i] as number) * (b[i] as number);
    return sum;
  };
  const own = token(at);
  const norm = Math.sqrt(dot(own, own));
  return Float32Array.from({ length: tokens }, (_, i) => {
    const other = token(i);
    return dot(own, other) / (norm * Math.sqrt(dot(other, other)));
  });
}

function frame(
  context: CanvasRenderingContext2D,
  { grid, at, width, height }: { grid: readonly [number, number]; at: number; width: number; height: number },
): void {
  const [rows, columns] = grid;
  const [row, column] = [Math.floor(at / columns), at % columns];
  context.strokeStyle = "#ffb000";
  context.lineWidth = 3;
  context.strokeRect((column * width) / columns, (row * height) / rows, width / columns, height / rows);
}

/** Bilinear between the centres of patches. */
function smooth(
  map: Float32Array,
  { rows, columns, y, x }: { rows: number; columns: number; y: number; x: number },
): number {
  const [top, left] = [Math.max(0, Math.floor(y)), Math.max(0, Math.floor(x))];
  const [bottom, right] = [Math.min(rows - 1, top + 1), Math.min(columns - 1, left + 1)];
  const [fy, fx] = [Math.min(1, Math.max(0, y - top)), Math.min(1, Math.max(0, x - left))];
  const at = (row: number, column: number): number => map[row * columns + column] ?? 0;
  return (
    (1 - fy) * ((1 - fx) * at(top, left) + fx * at(top, right)) +
    fy * ((1 - fx) * at(bottom, left) + fx * at(bottom, right))
  );
}
