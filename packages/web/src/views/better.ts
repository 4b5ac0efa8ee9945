/** Make it better: fine-tuning, its choices, its curve, and what it changed. */
import type { App } from "../app.ts";
import { pairedChange } from "../state/improvement.ts";
import { TEXT } from "../texts.ts";
import { curves } from "../ui/curve.ts";
import { fill, h } from "../ui/dom.ts";

export function betterPanel(app: App): { element: HTMLElement; update(): void } {
  const body = h("div", {});
  const element = h("section", { class: "better", "aria-label": TEXT.better.title }, body);
  const chosen = { trainable: "", epochs: 8, size: 0 };
  let shown = "";

  function update(): void {
    const { model, taught } = app;
    const improvement = app.improving.progress;
    element.hidden = model.state !== "ready" || (taught === undefined && improvement.state === "idle");
    if (model.state !== "ready") return;
    const { state, points, step, epoch } = improvement;
    const key = [
      state,
      points.length,
      step,
      epoch,
      model.facts.name,
      taught?.judged.length,
      app.project.classes.length,
    ].join();
    if (key === shown) return;
    shown = key;
    const side = model.facts.inputSize[0];
    const isSmall = model.facts.parameters < 1e6;
    chosen.trainable ||= isSmall ? "all" : "last-2";
    chosen.size ||= side;
    if (state === "idle" || state === "done") fill(body, ...choices(side));
    else fill(body, ...running());
  }

  function choices(side: number): (HTMLElement | false)[] {
    const improvement = app.improving.progress;
    const select = (
      label: string,
      key: "trainable" | "epochs" | "size",
      options: readonly (readonly [string, string])[],
    ): HTMLElement =>
      h(
        "label",
        { class: "field" },
        label,
        h(
          "select",
          {
            "data-key": key,
            onChange: (event: Event) => {
              const { value } = event.target as HTMLSelectElement;
              if (key === "trainable") chosen.trainable = value;
              else chosen[key] = Number(value);
            },
          },
          ...options.map(([value, text]) =>
            h("option", { value, selected: String(chosen[key]) === value }, text),
          ),
        ),
      );
    return [
      h("h2", {}, TEXT.better.title),
      improvement.state === "done" && outcome(),
      h("p", { class: "muted small" }, TEXT.better.lead),
      h(
        "div",
        { class: "row" },
        select(TEXT.better.what, "trainable", Object.entries(TEXT.better.trainable)),
        select(
          TEXT.better.epochs,
          "epochs",
          ["3", "8", "20"].map((n) => [n, n] as const),
        ),
        side > 160 &&
          select(TEXT.better.size, "size", [
            [String(side), `${side} px`],
            ["160", `160 px`],
          ]),
      ),
      h(
        "div",
        { class: "row" },
        h(
          "button",
          {
            type: "button",
            class: "primary",
            "data-key": "start",
            onClick: () => void app.improving.begin(chosen),
          },
          TEXT.better.start,
        ),
      ),
    ];
  }

  function running(): (HTMLElement | false)[] {
    const { state, points, epoch, step, steps, imagesPerSecond, secondsLeft, record } =
      app.improving.progress;
    const epochs = record?.options.epochs ?? 1;
    const done = epoch * Math.max(1, steps) + step;
    const text =
      state === "starting"
        ? TEXT.better.starting
        : state === "paused"
          ? TEXT.better.paused(epoch + 1, epochs)
          : TEXT.better.progress({
              epoch: epoch + 1,
              epochs,
              step,
              steps,
              rate: imagesPerSecond,
              left: secondsLeft,
            });
    return [
      h("h2", {}, TEXT.better.title),
      h("p", { class: "small", role: "status" }, text),
      h("progress", { max: epochs * Math.max(1, steps), value: done, "aria-label": TEXT.better.title }),
      points.length > 0 && curves(points, epochs),
      h(
        "div",
        { class: "row" },
        state === "paused"
          ? h(
              "button",
              {
                type: "button",
                class: "primary",
                "data-key": "go",
                onClick: () => void app.improving.goOn(),
              },
              TEXT.better.goOn,
            )
          : h(
              "button",
              {
                type: "button",
                "data-key": "go",
                disabled: state === "pausing",
                onClick: () => void app.improving.pause(),
              },
              TEXT.better.pause,
            ),
        state === "paused" &&
          h(
            "button",
            { type: "button", class: "danger", onClick: () => void app.improving.drop() },
            TEXT.better.drop,
          ),
      ),
    ];
  }

  /** What fine-tuning changed on the same held-out images. */
  function outcome(): HTMLElement {
    const { taught } = app;
    const improvement = app.improving.progress;
    const { record, points } = improvement;
    const same = (taught?.judged ?? []).filter(({ id }) => record?.before[id] !== undefined);
    const after = same.map(({ label, predicted }) => label === predicted);
    const before = same.map(({ id }) => record?.before[id] === true);
    const { points: change, interval } = pairedChange(before, after);
    const right = (all: readonly boolean[]): number => all.filter(Boolean).length;
    return h(
      "div",
      { class: "outcome" },
      app.waiting > 0 || same.length === 0
        ? h("p", { class: "small", role: "status" }, TEXT.better.looking)
        : h(
            "p",
            { role: "status" },
            h("strong", {}, TEXT.better.outcome(right(before), right(after), same.length)),
            " ",
            h("span", { class: "muted" }, TEXT.better.change(change, interval)),
          ),
      points.length > 0 && curves(points, record?.options.epochs ?? 1),
      app.improving.hasPrevious &&
        h(
          "button",
          { type: "button", class: "link", onClick: () => void app.improving.goBack() },
          TEXT.better.back,
        ),
    );
  }

  return { element, update };
}
