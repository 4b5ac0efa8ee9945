/** Attention over a grey image: a canvas on which what a token looks at keeps its colour and light. */
import type { LookResult } from "../engine/engine.worker.ts";
import { TEXT } from "../texts.ts";
import { fill, h } from "./dom.ts";
import { drawMap } from "./maps.ts";

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
    drawMap(canvas, last, { grid, map: mapOf(last) });
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
