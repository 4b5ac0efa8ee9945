/** What a crop does to a teacher's label, and what the student's losses make of it (Eq. 2 and Eq. 3). */
import type { App } from "../app.ts";
import type { LookResult } from "../engine/engine.worker.ts";
import { TEXT } from "../texts.ts";
import { fill, h } from "../ui/dom.ts";

/** Side of the part that is shown, in pixels. */
const SIDE = 224;
const SHOWN = 5;

export function lossesSection(app: App, image: Blob, whole: LookResult): HTMLElement {
  const words = TEXT.understand;
  const crop = { size: 0.5, across: 0.5, down: 0.5 };
  const teacher = whole.logits["distillation"] ?? whole.logits["class"] ?? new Float32Array();
  const loss = { tau: 3, lambda: 0.1, label: teacher.indexOf(Math.max(...teacher)) };
  let part: LookResult | undefined;
  const canvas = h("canvas", {
    class: "map",
    width: SIDE,
    height: SIDE,
    role: "img",
    "aria-label": words.part,
  });
  const answers = h("div", { class: "heads", role: "status" });
  const losses = h("div", { class: "losses", role: "status" });
  const nameOf = (index: number): string => {
    const own = app.model.state === "ready" ? app.model.facts.classes?.[index] : undefined;
    return own ?? whole.own["class"]?.find((answer) => answer.index === index)?.label ?? `class ${index}`;
  };

  let [isBusy, isDue] = [false, false];
  /** Computes with the newest controls; what is asked meanwhile comes next. */
  async function recompute(): Promise<void> {
    if (isBusy) {
      isDue = true;
      return;
    }
    isBusy = true;
    try {
      do {
        isDue = false;
        const bitmap = await cut();
        canvas.getContext("2d")?.drawImage(bitmap, 0, 0, SIDE, SIDE);
        part = await app.look(bitmap, words.part);
        fill(answers, list(words.whole, whole), list(words.part, part));
        await relose();
      } while (isDue);
    } catch (error) {
      app.fail(error);
    } finally {
      isBusy = false;
    }
  }

  async function cut(): Promise<ImageBitmap> {
    const bitmap = await createImageBitmap(image);
    const side = Math.max(8, Math.round(Math.min(bitmap.width, bitmap.height) * crop.size));
    const [left, top] = [(bitmap.width - side) * crop.across, (bitmap.height - side) * crop.down];
    const cutOut = await createImageBitmap(bitmap, Math.round(left), Math.round(top), side, side, {
      resizeWidth: SIDE,
      resizeHeight: SIDE,
      resizeQuality: "high",
    });
    bitmap.close();
    return cutOut;
  }

  /** The losses of the part, by the definitions that training has. */
  async function relose(): Promise<void> {
    if (part === undefined) return;
    const student = [...(part.logits["class"] ?? [])];
    const taught = [...(part.logits["distillation"] ?? part.logits["class"] ?? [])];
    const found = await app.losses({ student, taught, teacher: [...teacher], ...loss });
    const three = (value: number): string => value.toFixed(3);
    fill(
      losses,
      ...(["soft", "hard"] as const).map((kind) =>
        h(
          "div",
          { class: "loss" },
          h("strong", { class: "score" }, three(found[kind].loss)),
          h("span", {}, words[kind]),
          h(
            "span",
            { class: "muted small" },
            words.parts(three(found[kind].labels), three(found[kind].teacher)),
          ),
        ),
      ),
      h("h3", {}, words.softened),
      bars(softened(teacher, loss.tau)),
    );
  }

  function list(title: string, { own }: LookResult): HTMLElement {
    const top = own["distillation"] ?? own["class"] ?? [];
    return h(
      "div",
      { class: "bars" },
      h("h3", {}, title),
      bars(top.map(({ label, score }) => ({ label, score }))),
    );
  }

  function bars(rows: readonly { label: string; score: number }[]): HTMLElement {
    return h(
      "ol",
      { class: "bar-list" },
      ...rows.map(({ label, score }) =>
        h(
          "li",
          { style: { "--hue": 220 } },
          h("span", { class: "label" }, label),
          h("span", { class: "percent" }, `${(100 * score).toFixed(1)} %`),
          h(
            "span",
            { class: "track", "aria-hidden": "true" },
            h("span", { style: { width: `${(100 * score).toFixed(1)}%` } }),
          ),
        ),
      ),
    );
  }

  function softened(logits: Float32Array, tau: number): { label: string; score: number }[] {
    const most = logits.reduce((largest, value) => Math.max(largest, value), -Infinity);
    const all = Array.from(logits, (value, index) => ({ index, weight: Math.exp((value - most) / tau) }));
    const sum = all.reduce((total, { weight }) => total + weight, 0);
    return all
      .toSorted((a, b) => b.weight - a.weight)
      .slice(0, SHOWN)
      .map(({ index, weight }) => ({ label: nameOf(index), score: weight / sum }));
  }

  function slider<K extends string>(
    label: string,
    state: Record<K, number>,
    key: K,
    { min, max, step, onChange }: { min: number; max: number; step: number; onChange(): unknown },
  ): HTMLElement {
    const output = h("output", {}, state[key].toFixed(2));
    const range = h("input", {
      type: "range",
      min: String(min),
      max: String(max),
      step: String(step),
      value: String(state[key]),
      onInput: () => {
        state[key] = Number(range.value);
        output.textContent = state[key].toFixed(2);
        void onChange();
      },
    });
    return h("label", { class: "field wide" }, h("span", {}, `${label}: `, output), range);
  }

  const known = whole.own["class"] ?? [];
  const truth = h(
    "select",
    {
      onChange: (event: Event) => {
        loss.label = Number((event.target as HTMLSelectElement).value);
        void relose();
      },
    },
    ...known.map(({ index, label }) =>
      h("option", { value: String(index), selected: index === loss.label }, label),
    ),
  );
  const again = { onChange: recompute };
  const section = h(
    "section",
    { class: "panel" },
    h("h2", {}, words.crop),
    h("p", {}, words.cropText),
    h(
      "div",
      { class: "crop" },
      canvas,
      h(
        "div",
        { class: "controls" },
        slider(words.cropSize, crop, "size", { min: 0.1, max: 1, step: 0.05, ...again }),
        slider(words.cropAcross, crop, "across", { min: 0, max: 1, step: 0.05, ...again }),
        slider(words.cropDown, crop, "down", { min: 0, max: 1, step: 0.05, ...again }),
      ),
    ),
    answers,
    h("h2", {}, words.losses),
    h("p", {}, words.lossesText),
    h(
      "div",
      { class: "controls" },
      slider(words.tau, loss, "tau", { min: 0.5, max: 10, step: 0.1, onChange: relose }),
      slider(words.lambda, loss, "lambda", { min: 0, max: 1, step: 0.05, onChange: relose }),
      h("label", { class: "field" }, words.truth, truth),
    ),
    losses,
  );
  void recompute();
  return section;
}
