/** Attention over a grey image: a canvas on which what a token looks at keeps its colour and light. */
import type { LookResult } from "../engine/engine.worker.ts";
import { TEXT } from "../texts.ts";
import { fill, h } from "./dom.ts";

export interface AttentionPanel {
  readonly element: HTMLElement;
  show(result: LookResult, grid: readonly [number, number]): void;
}

export function attentionPanel(): AttentionPanel {
  const canvas = h("canvas", { class: "seen", role: "img", "aria-label": TEXT.try.seen });
  const controls = h("div", { class: "controls" });
  const element = h("figure", { class: "attention" }, canvas, h("figcaption", {}, controls));
  const chosen = { token: "class", layer: -1, head: -1 };
  let last: LookResult | undefined;
  let grid: readonly [number, number] = [1, 1];
  let built = "";

  /** Controls for what the model has; kept while it is the same model. */
  function build({ attention }: LookResult): void {
    const layers = attention[0]?.heads.length ?? 0;
    const heads = attention[0]?.heads[0]?.length ?? 0;
    const key = `${attention.length}.${layers}.${heads}`;
    if (key === built) return;
    built = key;
    if (!attention.some(({ token }) => token === chosen.token)) chosen.token = "class";
    const select = (
      label: string,
      options: readonly (readonly [string, string])[],
      value: string,
      set: (value: string) => void,
    ): HTMLElement =>
      h(
        "label",
        { class: "field" },
        label,
        h(
          "select",
          {
            onChange: (event: Event) => {
              set((event.target as HTMLSelectElement).value);
              draw();
            },
          },
          ...options.map(([own, text]) => h("option", { value: own, selected: own === value }, text)),
        ),
      );
    const range = h("input", {
      type: "range",
      min: "0",
      max: String(layers),
      value: String(chosen.layer < 0 ? layers : chosen.layer),
      onInput: () => {
        const at = Number(range.value);
        chosen.layer = at === layers ? -1 : at;
        name.textContent = nameOf();
        draw();
      },
    });
    const nameOf = (): string => (chosen.layer < 0 ? TEXT.try.rollout : String(chosen.layer + 1));
    const name = h("output", {}, nameOf());
    fill(
      controls,
      attention.length > 1 &&
        select(
          TEXT.try.token,
          attention.map(({ token }) => [token, TEXT.try.headNames[token] ?? token] as const),
          chosen.token,
          (value) => {
            chosen.token = value;
          },
        ),
      h("label", { class: "field wide" }, h("span", {}, `${TEXT.try.layer}: `, name), range),
      select(
        TEXT.try.head,
        [
          ["-1", TEXT.try.allHeads] as const,
          ...Array.from({ length: heads }, (_, i) => [String(i), String(i + 1)] as const),
        ],
        String(chosen.head),
        (value) => {
          chosen.head = Number(value);
        },
      ),
    );
  }

  function mapOf({ attention }: LookResult): Float32Array {
    const own = attention.find(({ token }) => token === chosen.token) ?? attention[0];
    if (own === undefined) return new Float32Array(grid[0] * grid[1]);
    if (chosen.layer < 0) return own.rollout;
    const heads = own.heads[chosen.layer] ?? [];
    if (chosen.head >= 0) return heads[chosen.head] ?? own.rollout;
    return own.rollout.map(
      (_, i) => heads.reduce((sum, map) => sum + (map[i] ?? 0), 0) / Math.max(1, heads.length),
    );
  }

  function draw(): void {
    if (last === undefined) return;
    const [height, width] = last.size;
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    if (context === null) return;
    const map = mapOf(last);
    // the strongest few patches may not hide the rest
    const sorted = map.toSorted();
    const [low, high] = [
      sorted[Math.floor(0.05 * sorted.length)] ?? 0,
      sorted[Math.floor(0.99 * (sorted.length - 1))] ?? 1,
    ];
    const strength = map.map((value) =>
      Math.min(1, Math.max(0, (value - low) / Math.max(1e-12, high - low))),
    );
    const pixels = new ImageData(width, height);
    const [rows, columns] = grid;
    const { seen } = last;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = (y * width + x) * 4;
        const s = smooth(strength, {
          rows,
          columns,
          y: ((y + 0.5) / height) * rows - 0.5,
          x: ((x + 0.5) / width) * columns - 0.5,
        });
        const [r = 0, g = 0, b = 0] = [seen[at], seen[at + 1], seen[at + 2]];
        const grey = 0.5 * (0.299 * r + 0.587 * g + 0.114 * b) + 20;
        pixels.data[at] = grey + s * (Math.min(255, r * 1.05 + 30) - grey);
        pixels.data[at + 1] = grey + s * (Math.min(255, g * 1.05 + 18) - grey);
        pixels.data[at + 2] = grey + s * (b - grey);
        pixels.data[at + 3] = 255;
      }
    }
    context.putImageData(pixels, 0, 0);
  }

  return {
    element,
    show(result, ofPatches) {
      [last, grid] = [result, ofPatches];
      build(result);
      draw();
    },
  };
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
