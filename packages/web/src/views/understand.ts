/** Understand: the paper as one page with the model of this tab. Each part is computed from the image that is chosen. */
import type { App } from "../app.ts";
import type { Inside } from "../engine/inspect.ts";
import type { LookResult } from "../engine/engine.worker.ts";
import { TEXT } from "../texts.ts";
import { cosines, drawMap, drawPatches } from "../ui/maps.ts";
import { lineChart } from "../ui/curve.ts";
import { fill, h, icon, ICONS } from "../ui/dom.ts";
import { drawing } from "../ui/drawing.ts";
import { lossesSection } from "./understand-losses.ts";
import type { View } from "./view.ts";

export function understandView(app: App): View {
  const words = TEXT.understand;
  const body = h("div", { class: "story" });
  const status = h("p", { class: "muted", role: "status" });
  const pick = h("input", { type: "file", accept: "image/*", hidden: true, class: "pick-understand" });
  pick.addEventListener("change", () => {
    const file = pick.files?.[0];
    pick.value = "";
    if (file) void show(file, file.name);
  });
  const sample = h(
    "button",
    { type: "button", onClick: () => void held() },
    icon(ICONS.image),
    TEXT.try.ofProject,
  );
  const element = h(
    "div",
    { class: "view narrow" },
    h(
      "section",
      { class: "panel" },
      h("h1", {}, words.title),
      h("p", {}, words.lead),
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", onClick: () => pick.click() }, icon(ICONS.image), words.choose),
        sample,
        h("button", { type: "button", onClick: () => void drawn() }, words.drawn),
        pick,
      ),
      status,
    ),
    body,
  );
  let isBegun = false;
  let turn = 0;

  async function drawn(): Promise<void> {
    await show(await drawing(), words.drawn);
  }

  async function held(): Promise<void> {
    const all = app.project.images.filter((image) => image.held);
    const next = all[turn++ % Math.max(1, all.length)];
    const blob = next && (await app.imageOf(next.id));
    if (blob) await show(blob, next.name);
  }

  async function show(image: Blob, name: string): Promise<void> {
    status.textContent = words.working;
    try {
      const [look, inside] = [await app.look(image, name), await app.inspect(image, name)];
      if (app.model.state !== "ready") return;
      tell(image, look, inside);
      status.textContent = name;
    } catch (error) {
      status.textContent = "";
      app.fail(error);
    }
  }

  function tell(image: Blob, look: LookResult, inside: Inside): void {
    if (app.model.state !== "ready") return;
    const { grid, inputSize, tokens } = app.model.facts;
    const [rows, columns] = grid;
    const layers = inside.states.length - 1;
    const chosen = { row: Math.floor(rows / 2), column: Math.floor(columns / 2), layer: layers };
    const image1 = h("canvas", {
      class: "map large",
      tabIndex: 0,
      role: "application",
      "aria-label": words.patches,
    });
    const likeness = h("canvas", { class: "map large", role: "img", "aria-label": words.like });
    const numbers = h("canvas", { class: "numbers", role: "img" });
    const layerName = h("output", {}, words.layer(layers));
    const range = h("input", {
      type: "range",
      "aria-label": TEXT.try.layer,
      min: "0",
      max: String(layers),
      value: String(layers),
      onInput: () => {
        chosen.layer = Number(range.value);
        layerName.textContent = words.layer(chosen.layer);
        redraw();
      },
    });
    const redraw = (): void => {
      const at = chosen.row * columns + chosen.column;
      drawPatches(image1, look, { grid, at });
      drawMap(likeness, look, { grid, map: cosines(inside, { layer: chosen.layer, at }), at });
      const token = inside.prefix + at;
      const row = (inside.states[0] ?? new Float32Array()).subarray(
        token * inside.width,
        (token + 1) * inside.width,
      );
      drawNumbers(numbers, row);
      const name = words.patch(chosen.row + 1, chosen.column + 1);
      numbers.setAttribute("aria-label", words.tokens(name));
      image1.setAttribute("aria-description", name);
    };
    image1.addEventListener("pointerdown", ({ offsetX, offsetY }) => {
      chosen.column = Math.min(
        columns - 1,
        Math.max(0, Math.floor((offsetX / image1.clientWidth) * columns)),
      );
      chosen.row = Math.min(rows - 1, Math.max(0, Math.floor((offsetY / image1.clientHeight) * rows)));
      redraw();
    });
    image1.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      chosen.row = Math.min(rows - 1, Math.max(0, chosen.row + (step[0] ?? 0)));
      chosen.column = Math.min(columns - 1, Math.max(0, chosen.column + (step[1] ?? 0)));
      redraw();
    });
    const maps = look.attention.map(({ token, heads }) =>
      h(
        "figure",
        { class: "layers" },
        h("figcaption", {}, TEXT.try.headNames[token] ?? token),
        h(
          "div",
          { class: "layer-maps" },
          ...heads.map((own, layer) => {
            const canvas = h("canvas", {
              class: "map",
              role: "img",
              "aria-label": words.layer(layer + 1),
              title: words.layer(layer + 1),
            });
            const map = (own[0] ?? new Float32Array()).map(
              (_, i) => own.reduce((sum, each) => sum + (each[i] ?? 0), 0) / own.length,
            );
            drawMap(canvas, look, { grid, map, side: 112 });
            return h("div", {}, canvas, h("span", { class: "small muted" }, layer + 1));
          }),
        ),
      ),
    );
    fill(
      body,
      h(
        "section",
        { class: "panel" },
        h("h2", {}, words.patches),
        h("p", {}, words.patchesText(rows, columns, inputSize[0] / rows)),
        image1,
        numbers,
      ),
      h(
        "section",
        { class: "panel" },
        h("h2", {}, words.like),
        h("p", {}, words.likeText),
        likeness,
        h("label", { class: "field wide" }, layerName, range),
      ),
      h(
        "section",
        { class: "panel" },
        h("h2", {}, words.look),
        h("p", {}, tokens.length > 1 ? words.lookText.two : words.lookText.one),
        ...maps,
        h("h3", {}, words.cosine),
        tokens.length > 1
          ? h(
              "div",
              {},
              h("p", { class: "small" }, words.cosineText),
              lineChart({
                title: words.cosine,
                values: tokenCosines(inside),
                names: inside.states.map((_, layer) => words.layer(layer)),
              }),
            )
          : h("p", { class: "muted" }, words.cosineNone),
      ),
      lossesSection(app, image, look),
    );
    redraw();
  }

  return {
    element,
    update() {
      sample.hidden = !app.project.images.some((image) => image.held);
      if (isBegun || !element.isConnected) return;
      isBegun = true;
      void (app.project.images.some((image) => image.held) ? held() : drawn());
    },
  };
}

/** Cosine of class and distillation token in each layer. */
function tokenCosines({ states, width }: Inside): number[] {
  return states.map((state) => {
    const [a, b] = [state.subarray(0, width), state.subarray(width, 2 * width)];
    const dot = (x: Float32Array, y: Float32Array): number =>
      x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  });
}

/** Numbers as a row of columns, up and down from the middle. */
function drawNumbers(canvas: HTMLCanvasElement, row: Float32Array): void {
  [canvas.width, canvas.height] = [Math.max(row.length, 1) * 4, 96];
  const context = canvas.getContext("2d");
  if (context === null) return;
  const most = row.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-6);
  context.fillStyle = getComputedStyle(canvas).color;
  for (const [i, value] of row.entries()) {
    const size = (value / most) * 46;
    context.fillRect(4 * i, size > 0 ? 48 - size : 48, 3, Math.max(1, Math.abs(size)));
  }
}
