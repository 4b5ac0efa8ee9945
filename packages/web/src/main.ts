/** The page: its frame, and the view that the address names. */
import { App } from "./app.ts";
import { TEXT } from "./texts.ts";
import { fill, h, icon, ICONS } from "./ui/dom.ts";
import { modelDialog } from "./views/model-dialog.ts";
import { takeAwayView } from "./views/take-away.ts";
import { teachView } from "./views/teach.ts";
import { tryView } from "./views/try.ts";
import { understandView } from "./views/understand.ts";
import type { View } from "./views/view.ts";

const app = new App();
const toast = h("div", { class: "toast", role: "status", "aria-live": "polite" });
let toastTimer: ReturnType<typeof setTimeout> | undefined;

/** Says something for some seconds. */
function say(text: string): void {
  fill(
    toast,
    h("span", {}, text),
    app.history.undoes !== undefined &&
      h("button", { type: "button", class: "link", onClick: () => app.history.undo() }, TEXT.undo()),
  );
  toast.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => toast.classList.remove("shown"), 5000);
}

const VIEWS: Readonly<Record<string, () => View>> = {
  teach: () => teachView(app, say),
  try: () => tryView(app),
  away: () => takeAwayView(app, say),
  understand: () => understandView(app),
};
const NAMES = Object.keys(VIEWS);
const made = new Map<string, View>();

const models = modelDialog(app);
const modelButton = h("button", { type: "button", class: "model-button", onClick: () => models.open() });
const undo = h(
  "button",
  { type: "button", class: "icon-button", onClick: () => app.history.undo() },
  icon(ICONS.undo),
);
const redo = h(
  "button",
  { type: "button", class: "icon-button", onClick: () => app.history.redo() },
  icon(ICONS.redo),
);
const tabs = h(
  "nav",
  { "aria-label": TEXT.title },
  ...NAMES.map((name) =>
    h("a", { href: `#${name}`, "data-view": name }, TEXT.views[name as keyof typeof TEXT.views]),
  ),
);
const failure = h("div", { class: "failure", role: "alert", hidden: true });
const content = h("main", { id: "content", tabIndex: -1 });
document.body.append(
  h(
    "a",
    {
      class: "skip",
      href: "#content",
      onClick: (event: Event) => {
        event.preventDefault();
        content.focus();
      },
    },
    TEXT.skip,
  ),
  h(
    "header",
    { class: "top" },
    h(
      "a",
      { class: "brand", href: "#teach" },
      h("img", { src: "./icon.svg", alt: "", width: 22, height: 22 }),
      TEXT.title,
    ),
    tabs,
    h("div", { class: "top-actions" }, undo, redo, modelButton),
  ),
  failure,
  content,
  toast,
  models.element,
);

let shown: View | undefined;

function route(): void {
  const name = NAMES.find((own) => location.hash === `#${own}`) ?? "teach";
  const view = made.get(name) ?? VIEWS[name]?.();
  if (view === undefined) return;
  made.set(name, view);
  if (shown !== view) {
    shown?.leave?.();
    shown = view;
    fill(content, view.element);
  }
  for (const link of tabs.querySelectorAll("a")) {
    if (link.dataset["view"] === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TEXT.views[name as keyof typeof TEXT.views]} · ${TEXT.title}`;
  update();
}

let isDue = false;
function updateSoon(): void {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    update();
  });
}

function update(): void {
  shown?.update();
  const { model, history } = app;
  for (const [button, what, label] of [
    [undo, history.undoes, TEXT.undo(history.undoes)],
    [redo, history.redoes, TEXT.redo(history.redoes)],
  ] as const) {
    button.disabled = what === undefined;
    button.title = label;
    button.setAttribute("aria-label", label);
  }
  const state =
    model.state === "ready"
      ? model.origin === "page"
        ? TEXT.model.page
        : model.facts.name.replace(/_patch.*$/, "").replaceAll("_", "-")
      : model.state === "loading"
        ? TEXT.model.loading(model.share)
        : model.state === "failed"
          ? TEXT.model.failed
          : TEXT.model.none;
  fill(modelButton, h("span", { class: "muted" }, `${TEXT.model.label}: `), state);
  modelButton.title =
    model.state === "ready"
      ? TEXT.model.facts({ size: model.facts.inputSize[0], parameters: model.facts.parameters })
      : TEXT.model.change;
  const message =
    app.failure ??
    (model.state === "failed" ? model.message : undefined) ??
    (app.lasts ? undefined : TEXT.errors.notLasting);
  failure.hidden = message === undefined;
  if (message !== undefined)
    fill(
      failure,
      h("span", {}, message),
      app.failure !== undefined &&
        h(
          "button",
          { type: "button", class: "icon-button", "aria-label": TEXT.dismiss, onClick: () => app.dismiss() },
          icon(ICONS.close),
        ),
    );
}

globalThis.addEventListener("hashchange", route);
globalThis.addEventListener("keydown", (event) => {
  if (
    !(event.ctrlKey || event.metaKey) ||
    event.key.toLowerCase() !== "z" ||
    event.target instanceof HTMLInputElement
  )
    return;
  event.preventDefault();
  if (event.shiftKey) app.history.redo();
  else app.history.undo();
});
// files that miss their target must not replace the page
globalThis.addEventListener("dragover", (event) => event.preventDefault());
globalThis.addEventListener("drop", (event) => event.preventDefault());
app.onChange(updateSoon);
update();
await app.start().catch((error: unknown) => app.fail(error));
route();

if ("serviceWorker" in navigator && location.protocol.startsWith("http"))
  void navigator.serviceWorker.register("./service-worker.js").catch(() => undefined);
