/** Teach: classes with their images on the left, what the held-out images say on the right. */
import type { App } from "../app.ts";
import { givenByDrop, givenFiles } from "../state/dropped.ts";
import type { GivenImage } from "../state/dropped.ts";
import type { ClassInfo, ImageInfo } from "../state/project.ts";
import { addClass, freeName, moveImages, removeClass, removeImages, renameClass } from "../state/project.ts";
import { TEXT } from "../texts.ts";
import { fill, h, icon, ICONS } from "../ui/dom.ts";
import type { ThumbGrid, ThumbState } from "../ui/thumbs.ts";
import { DRAGGED, thumbGrid } from "../ui/thumbs.ts";
import { captureDialog } from "./capture.ts";
import { imageDialog } from "./image-dialog.ts";
import { resultPanel } from "./result.ts";
import type { View } from "./view.ts";

/** Images of a class that are shown before one asks for all. */
const FEW = 48;

interface Card {
  readonly element: HTMLElement;
  update(own: ClassInfo, images: readonly ImageInfo[], index: number): void;
}

export function teachView(app: App, say: (text: string) => void): View {
  const dialog = imageDialog(app, say);
  const capture = captureDialog(app);
  const cards = new Map<string, Card>();
  const list = h("div", { class: "cards" });
  const result = resultPanel(app, (ids) => ids[0] !== undefined && dialog.open(ids[0], ids));
  const tools = h("div", { class: "toolbar" });
  const empty = h(
    "section",
    { class: "empty" },
    h("h1", {}, TEXT.teach.emptyTitle),
    h("p", {}, TEXT.teach.emptyLead),
    h("div", { class: "row centre" }, ...choosers(undefined, true)),
    h("p", { class: "muted" }, `${TEXT.teach.drop}. ${TEXT.private}`),
  );
  const main = h(
    "div",
    { class: "teach" },
    h("section", { class: "classes", "aria-label": TEXT.teach.classes }, tools, list),
    result.element,
  );
  const element = h("div", { class: "view" }, empty, main, dialog.element, capture.element);

  async function take(given: readonly GivenImage[], className?: string): Promise<void> {
    if (given.length === 0) return say(TEXT.teach.noImages);
    const added = await app.addFiles(given, className);
    say(added === 0 ? TEXT.teach.nothingNew : TEXT.teach.done(TEXT.teach.addedImages(added)));
  }

  /** Buttons to add files: to a class, or to those that folders name. */
  function choosers(className?: string, large = false): HTMLElement[] {
    const input = (folder: boolean): HTMLInputElement => {
      const own = h("input", {
        type: "file",
        multiple: true,
        hidden: true,
        class: folder ? "pick-folder" : "pick-files",
      });
      if (folder) own.webkitdirectory = true;
      else own.accept = "image/*,.zip,.heic,.heif";
      own.addEventListener("change", () => {
        const files = [...(own.files ?? [])];
        own.value = "";
        void givenFiles(files)
          .then(async (given) => take(given, className))
          .catch((error: unknown) => app.fail(error));
      });
      return own;
    };
    const [folder, files] = [input(true), input(false)];
    return [
      h(
        "button",
        {
          type: "button",
          class: large ? "primary" : "",
          "data-key": "folder",
          onClick: () => folder.click(),
        },
        icon(ICONS.folder),
        TEXT.teach.folder,
      ),
      h(
        "button",
        { type: "button", "data-key": "files", onClick: () => files.click() },
        icon(ICONS.image),
        TEXT.teach.files,
      ),
      folder,
      files,
    ];
  }

  function card(id: string): Card {
    const name = h("input", {
      class: "name",
      "aria-label": TEXT.teach.className,
      spellcheck: false,
      onChange: () =>
        app.history.change(
          renameClass(app.project, id, name.value.trim() || name.defaultValue),
          TEXT.teach.renamed,
        ),
      onKeydown: (event: KeyboardEvent) => {
        if (event.key === "Enter") name.blur();
        if (event.key === "Escape") name.value = name.defaultValue;
      },
    });
    const amount = h("span", { class: "muted amount" });
    const pick = h("input", {
      type: "file",
      multiple: true,
      accept: "image/*,.zip,.heic,.heif",
      hidden: true,
    });
    pick.addEventListener("change", () => {
      const files = [...(pick.files ?? [])];
      pick.value = "";
      void givenFiles(files)
        .then(async (given) => take(given, name.value))
        .catch((error: unknown) => app.fail(error));
    });
    const button = (path: string, onClick: () => void): HTMLButtonElement =>
      h("button", { type: "button", class: "icon-button", onClick }, icon(path));
    const add = button(ICONS.add, () => pick.click());
    const record = button(ICONS.camera, () => void capture.open(name.value));
    const remove = button(ICONS.trash, () => {
      const what = TEXT.teach.removedClass(name.value);
      app.history.change(removeClass(app.project, id), what);
      say(TEXT.teach.done(what));
    });
    const grid: ThumbGrid = thumbGrid(app, {
      label: "",
      onOpen: (image, ids) => dialog.open(image, ids),
      onDelete: (image) => {
        const what = TEXT.teach.removed(1);
        app.history.change(removeImages(app.project, new Set([image])), what);
        say(TEXT.teach.done(what));
      },
    });
    let isOpen = false;
    const more = h("button", {
      type: "button",
      class: "link",
      onClick: () => {
        isOpen = !isOpen;
        update();
      },
    });
    const box = h(
      "article",
      { class: "card" },
      h(
        "header",
        {},
        h("span", { class: "dot" }),
        name,
        amount,
        h("span", { class: "actions" }, add, record, remove),
        pick,
      ),
      grid.element,
      more,
    );
    dropTarget(box, async (transfer) => {
      const dragged = transfer.getData(DRAGGED);
      if (dragged === "") return take(await givenByDrop(transfer), name.value);
      const what = TEXT.teach.moved(1, name.value);
      app.history.change(moveImages(app.project, new Set([dragged]), id), what);
      say(TEXT.teach.done(what));
    });
    return {
      element: box,
      update(own, images, index) {
        if (document.activeElement !== name) name.value = own.name;
        name.defaultValue = own.name;
        box.style.setProperty("--hue", String(hueOf(index)));
        amount.textContent = TEXT.teach.count(images.length, images.filter(({ held }) => held).length);
        for (const [element, label] of [
          [add, TEXT.teach.addTo(own.name)],
          [record, TEXT.teach.recordTo(own.name)],
          [remove, TEXT.teach.removeClass(own.name)],
        ] as const) {
          element.title = label;
          element.setAttribute("aria-label", label);
        }
        grid.element.setAttribute("aria-label", own.name);
        const shown = isOpen ? images : images.slice(0, FEW);
        grid.update(shown.map(thumbState));
        more.hidden = images.length <= FEW;
        more.textContent = isOpen ? TEXT.teach.showFewer : TEXT.teach.showAll(images.length);
      },
    };
  }

  function thumbState({ id, name, held }: ImageInfo): ThumbState {
    const judged = judgedById.get(id);
    const why = app.unreadable.get(id);
    const wrong = judged !== undefined && judged.predicted !== judged.label;
    const answer = judged && app.project.classes[judged.predicted]?.name;
    const label = [
      name,
      held && TEXT.teach.heldNote,
      wrong && TEXT.image.answered(answer ?? "", (100 * judged.probability).toFixed(0)),
      why,
    ].filter(Boolean);
    return {
      id,
      name,
      held,
      wrong,
      waiting: !app.isSeen(id) && why === undefined,
      broken: why !== undefined,
      label: label.join(", "),
    };
  }
  let judgedById = new Map<string, NonNullable<App["taught"]>["judged"][number]>();

  /** Files may be dropped anywhere on an element. */
  function dropTarget(target: HTMLElement, onDrop: (transfer: DataTransfer) => Promise<void>): void {
    let depth = 0;
    const over = (by: number): void => {
      depth += by;
      target.classList.toggle("dropping", depth > 0);
    };
    target.addEventListener("dragenter", () => over(1));
    target.addEventListener("dragleave", () => over(-1));
    target.addEventListener("dragover", (event) => event.preventDefault());
    target.addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      depth = 0;
      target.classList.remove("dropping");
      if (event.dataTransfer) void onDrop(event.dataTransfer).catch((error: unknown) => app.fail(error));
    });
  }
  dropTarget(element, async (transfer) => {
    if (transfer.getData(DRAGGED) === "") await take(await givenByDrop(transfer));
  });

  fill(
    tools,
    h("h1", { class: "visually-hidden" }, TEXT.views.teach),
    ...choosers(),
    h(
      "button",
      {
        type: "button",
        "data-key": "add-class",
        onClick: () => {
          app.history.change(
            addClass(app.project, freeName(app.project, TEXT.teach.newClass)),
            TEXT.teach.addedClass,
          );
          const last = list.lastElementChild?.querySelector<HTMLInputElement>("input.name");
          last?.focus();
          last?.select();
        },
      },
      icon(ICONS.add),
      TEXT.teach.addClass,
    ),
  );
  empty.querySelector(".row")?.append(
    h(
      "button",
      {
        type: "button",
        onClick: () =>
          app.history.change(
            addClass(
              addClass(app.project, freeName(app.project, TEXT.teach.newClass)),
              `${TEXT.teach.newClass} 2`,
            ),
            TEXT.teach.addedClass,
          ),
      },
      icon(ICONS.add),
      TEXT.teach.addClass,
    ),
  );

  function update(): void {
    const { classes, images } = app.project;
    const isEmpty = classes.length === 0;
    empty.hidden = !isEmpty;
    main.hidden = isEmpty;
    judgedById = new Map(app.taught?.judged.map((judged) => [judged.id, judged]));
    const byClass = Map.groupBy(images, ({ classId }) => classId);
    for (const [id, { element: own }] of cards) {
      if (classes.some((each) => each.id === id)) continue;
      own.remove();
      cards.delete(id);
    }
    for (const [index, own] of classes.entries()) {
      const known = cards.get(own.id) ?? card(own.id);
      cards.set(own.id, known);
      if (list.children[index] !== known.element)
        list.insertBefore(known.element, list.children[index] ?? null);
      known.update(own, byClass.get(own.id) ?? [], index);
    }
    result.update();
  }

  return { element, update, leave: () => capture.close() };
}

/** Hue of a class, in degrees: neighbours are far apart. */
export function hueOf(index: number): number {
  return (index * 137.5 + 165) % 360;
}
