/** What the held-out images say of the classifier: the share that is right with its interval, and the confusion matrix. */
import { wilsonInterval } from "deit-ts/web";
import type { App } from "../app.ts";
import type { Judged } from "../engine/engine.worker.ts";
import { TEXT } from "../texts.ts";
import { fill, h } from "../ui/dom.ts";
import { betterPanel } from "./better.ts";

/** More classes are shown as a list of pairs that are confused. */
const MATRIX_CLASSES = 16;
const PAIRS = 12;
const FEW_IMAGES = 30;

export function resultPanel(
  app: App,
  onOpen: (ids: readonly string[]) => void,
): { element: HTMLElement; update(): void } {
  const element = h("aside", { class: "result", "aria-label": TEXT.result.title });
  const progress = h("div", { class: "progress-box", role: "status" });
  const body = h("div", {});
  const better = betterPanel(app);
  element.append(progress, body, better.element);
  let [shownTaught, shownClasses]: [unknown, unknown] = [undefined, undefined];

  function update(): void {
    better.update();
    element.setAttribute("aria-busy", String(app.project.images.length > 0 && !app.settled));
    const { images, classes } = app.project;
    const waiting = app.waiting;
    const done = images.length - waiting;
    const isLoading = app.model.state === "loading";
    const isBusy = images.length > 0 && (isLoading || (waiting > 0 && app.model.state === "ready"));
    progress.hidden = !isBusy;
    if (isBusy) {
      const text = isLoading ? TEXT.result.warming : TEXT.result.seeing(done, images.length);
      fill(
        progress,
        h("span", {}, text),
        h("progress", { max: images.length, value: isLoading ? 0 : done, "aria-label": text }),
      );
    }
    if (shownTaught === app.taught && shownClasses === classes && app.taught !== undefined) return;
    [shownTaught, shownClasses] = [app.taught, classes];
    const { taught } = app;
    if (taught === undefined || taught.judged.length === 0) {
      fill(
        body,
        h("h2", {}, TEXT.result.title),
        h("p", { class: "muted" }, taught === undefined ? TEXT.result.waitingTwo : TEXT.result.waitingHeld),
      );
      return;
    }
    const { judged } = taught;
    const correct = judged.filter(({ label, predicted }) => label === predicted).length;
    const { low, high } = wilsonInterval({ correct, images: judged.length });
    const none = judged.filter((own) => own.none).length;
    fill(
      body,
      h("h2", {}, TEXT.result.title),
      h(
        "p",
        { class: "figure" },
        h("strong", { class: "score" }, TEXT.result.right(correct, judged.length)),
        ` ${TEXT.result.rightAfter}`,
        h(
          "span",
          { class: "muted interval" },
          TEXT.result.interval((100 * low).toFixed(0), (100 * high).toFixed(0)),
        ),
      ),
      bar({ correct: correct / judged.length, low, high }),
      h(
        "p",
        { class: "muted small" },
        TEXT.result.learned(taught.milliseconds, taught.learnt),
        " ",
        TEXT.result.none(none, judged.length),
      ),
      judged.length < FEW_IMAGES && h("p", { class: "note" }, TEXT.result.few),
      classes.length <= MATRIX_CLASSES ? matrix(judged) : pairs(judged),
    );
  }

  /** The share and its interval on a line from 0 to 1. */
  function bar({ correct, low, high }: { correct: number; low: number; high: number }): HTMLElement {
    const part = (value: number): string => `${(100 * value).toFixed(1)}%`;
    return h(
      "div",
      { class: "interval-bar", "aria-hidden": "true" },
      h("span", { class: "span", style: { left: part(low), width: part(high - low) } }),
      h("span", { class: "point", style: { left: part(correct) } }),
    );
  }

  function matrix(judged: readonly Judged[]): HTMLElement {
    const { classes } = app.project;
    const cells = Map.groupBy(judged, ({ label, predicted }) => label * classes.length + predicted);
    const totals = classes.map((_, label) => judged.filter((own) => own.label === label).length);
    const cell = (label: number, predicted: number): HTMLElement => {
      const own = cells.get(label * classes.length + predicted) ?? [];
      if (own.length === 0) return h("td", { class: "zero" });
      const [truth = "", answer = ""] = [classes[label]?.name, classes[predicted]?.name];
      return h(
        "td",
        {},
        h(
          "button",
          {
            type: "button",
            class: label === predicted ? "cell right" : "cell wrong",
            style: { "--share": (own.length / Math.max(1, totals[label] ?? 1)).toFixed(3) },
            "aria-label": TEXT.result.cell(own.length, truth, answer),
            title: TEXT.result.cell(own.length, truth, answer),
            "data-key": `cell-${label}-${predicted}`,
            onClick: () => onOpen(own.map(({ id }) => id)),
          },
          own.length,
        ),
      );
    };
    return h(
      "div",
      { class: "matrix-box" },
      h("h3", {}, TEXT.result.matrix),
      h("p", { class: "muted small" }, TEXT.result.matrixHelp),
      h(
        "div",
        { class: "scroll", tabIndex: 0, role: "region", "aria-label": TEXT.result.matrix },
        h(
          "table",
          { class: "matrix" },
          h("caption", { class: "visually-hidden" }, TEXT.result.matrix),
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              h("td", {}),
              ...classes.map(({ name }, i) =>
                h(
                  "th",
                  { scope: "col", title: name },
                  h(
                    "span",
                    {},
                    h("i", { class: "visually-hidden" }, `${TEXT.result.answer} `),
                    name,
                    i < 0 && "",
                  ),
                ),
              ),
            ),
          ),
          h(
            "tbody",
            {},
            ...classes.map(({ name }, label) =>
              h(
                "tr",
                {},
                h("th", { scope: "row", title: name }, name),
                ...classes.map((_, predicted) => cell(label, predicted)),
              ),
            ),
          ),
        ),
      ),
    );
  }

  function pairs(judged: readonly Judged[]): HTMLElement {
    const { classes } = app.project;
    const wrong = judged.filter(({ label, predicted }) => label !== predicted);
    const groups = [
      ...Map.groupBy(wrong, ({ label, predicted }) => label * classes.length + predicted).values(),
    ]
      .toSorted((a, b) => b.length - a.length)
      .slice(0, PAIRS);
    return h(
      "div",
      { class: "matrix-box" },
      h("h3", {}, TEXT.result.confused),
      groups.length === 0 && h("p", { class: "muted" }, TEXT.result.noMistakes),
      h(
        "ul",
        { class: "pairs" },
        ...groups.map((own) => {
          const [truth = "", answer = ""] = [
            classes[own[0]?.label ?? 0]?.name,
            classes[own[0]?.predicted ?? 0]?.name,
          ];
          return h(
            "li",
            {},
            h(
              "button",
              { type: "button", class: "link", onClick: () => onOpen(own.map(({ id }) => id)) },
              TEXT.result.pair(own.length, truth, answer),
            ),
          );
        }),
      ),
    );
  }

  return { element, update };
}
