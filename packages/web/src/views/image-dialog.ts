/** One image, large: its class, whether it is held out, what was answered; or one after the other of a cell of the matrix. */
import type { App } from "../app.ts";
import { holdImage, moveImages, removeImages } from "../state/project.ts";
import { TEXT } from "../texts.ts";
import { fill, h, icon, ICONS } from "../ui/dom.ts";

export interface ImageDialog {
  readonly element: HTMLDialogElement;
  open(id: string, ids: readonly string[]): void;
}

export function imageDialog(app: App, say: (text: string) => void): ImageDialog {
  const body = h("div", { class: "image-body" });
  const element = h("dialog", { class: "image-dialog", "aria-label": TEXT.result.title }, body);
  let [shown, all]: [string, string[]] = ["", []];
  let url: string | undefined;
  element.addEventListener("close", () => {
    if (url !== undefined) URL.revokeObjectURL(url);
    url = undefined;
  });
  element.addEventListener("click", (event) => {
    if (event.target === element) element.close();
  });
  element.addEventListener("keydown", (event) => {
    if (event.target instanceof HTMLSelectElement) return;
    if (event.key === "ArrowRight") step(1);
    if (event.key === "ArrowLeft") step(-1);
  });

  function step(by: number): void {
    const next = all[all.indexOf(shown) + by];
    if (next !== undefined) void show(next);
  }

  /** After this image left its place: the next one, or none. */
  function goOn(): void {
    const at = all.indexOf(shown);
    all = all.filter((id) => id !== shown);
    const next = all[at] ?? all[at - 1];
    if (next === undefined) element.close();
    else void show(next);
  }

  async function show(id: string): Promise<void> {
    shown = id;
    const { project } = app;
    const info = project.images.find((image) => image.id === id);
    if (info === undefined) return element.close();
    const blob = await app.imageOf(id);
    if (url !== undefined) URL.revokeObjectURL(url);
    url = blob && URL.createObjectURL(blob);
    const judged = app.judgedOf(id);
    const at = all.indexOf(id);
    const answer = judged && (project.classes[judged.predicted]?.name ?? "");
    fill(
      body,
      h(
        "header",
        {},
        h("h2", {}, info.name),
        h("span", { class: "muted" }, TEXT.image.position(at + 1, all.length)),
        h(
          "button",
          {
            type: "button",
            class: "icon-button",
            "aria-label": TEXT.close,
            "data-key": "close",
            onClick: () => element.close(),
          },
          icon(ICONS.close),
        ),
      ),
      url === undefined
        ? h("p", {}, TEXT.errors.gone)
        : h("img", { src: url, alt: info.name, class: "large" }),
      judged &&
        h(
          "p",
          { class: judged.predicted === judged.label ? "answer right" : "answer wrong" },
          TEXT.image.answered(answer ?? "", (100 * judged.probability).toFixed(0)),
          judged.none && `; ${TEXT.image.none}`,
        ),
      app.unreadable.get(id) !== undefined && h("p", { class: "answer wrong" }, app.unreadable.get(id)),
      h(
        "div",
        { class: "row" },
        h(
          "label",
          { class: "field" },
          TEXT.image.moveTo,
          h(
            "select",
            {
              "data-key": "class",
              onChange: (event: Event) => {
                const classId = (event.target as HTMLSelectElement).value;
                const name = project.classes.find((own) => own.id === classId)?.name ?? "";
                const what = TEXT.teach.moved(1, name);
                app.history.change(moveImages(app.project, new Set([id]), classId), what);
                say(TEXT.teach.done(what));
                goOn();
              },
            },
            ...project.classes.map(({ id: value, name }) =>
              h("option", { value, selected: value === info.classId }, name),
            ),
          ),
        ),
        h(
          "label",
          { class: "check" },
          h("input", {
            type: "checkbox",
            checked: info.held,
            "data-key": "held",
            onChange: (event: Event) =>
              app.history.change(
                holdImage(app.project, id, (event.target as HTMLInputElement).checked),
                TEXT.teach.heldChanged,
              ),
          }),
          TEXT.image.hold,
        ),
        h(
          "button",
          {
            type: "button",
            class: "danger",
            "data-key": "delete",
            onClick: () => {
              const what = TEXT.teach.removed(1);
              app.history.change(removeImages(app.project, new Set([id])), what);
              say(TEXT.teach.done(what));
              goOn();
            },
          },
          icon(ICONS.trash),
          TEXT.image.delete,
        ),
      ),
      all.length > 1 &&
        h(
          "div",
          { class: "row between" },
          h(
            "button",
            { type: "button", "data-key": "previous", disabled: at <= 0, onClick: () => step(-1) },
            TEXT.image.previous,
          ),
          h(
            "button",
            { type: "button", "data-key": "next", disabled: at >= all.length - 1, onClick: () => step(1) },
            TEXT.image.next,
          ),
        ),
    );
  }

  return {
    element,
    open(id, ids) {
      all = [...ids];
      void show(id).then(() => {
        if (!element.open) element.showModal();
      });
    },
  };
}
