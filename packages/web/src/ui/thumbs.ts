/** Small images in a grid that keeps its elements, loads what is in sight and frees what is not. Arrow keys move in it. */
import type { App } from "../app.ts";
import { h } from "./dom.ts";

export interface ThumbState {
  readonly id: string;
  readonly name: string;
  readonly held: boolean;
  readonly wrong: boolean;
  readonly waiting: boolean;
  readonly broken: boolean;
  readonly label: string;
}

export interface ThumbGrid {
  readonly element: HTMLElement;
  update(images: readonly ThumbState[]): void;
}

/** Name of what is dragged within the page. */
export const DRAGGED = "application/x-deit-image";

export function thumbGrid(
  app: App,
  {
    onOpen,
    onDelete,
    label,
  }: { onOpen(id: string, ids: readonly string[]): void; onDelete?(id: string): void; label: string },
): ThumbGrid {
  const element = h("div", { class: "thumbs", role: "group", "aria-label": label });
  const known = new Map<string, HTMLButtonElement>();
  let order: readonly string[] = [];
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) void show(target as HTMLElement, isIntersecting);
    },
    { rootMargin: "300px" },
  );

  async function show(button: HTMLElement, inSight: boolean): Promise<void> {
    const image = button.querySelector("img");
    const id = button.dataset["id"];
    if (image === null || id === undefined) return;
    if (!inSight) {
      if (image.src) URL.revokeObjectURL(image.src);
      image.removeAttribute("src");
      return;
    }
    if (image.src) return;
    const blob = await app.thumbOf(id);
    if (blob !== undefined && button.isConnected) image.src = URL.createObjectURL(blob);
  }

  function create({ id }: ThumbState): HTMLButtonElement {
    const button = h(
      "button",
      {
        type: "button",
        class: "thumb",
        draggable: true,
        "data-id": id,
        tabIndex: -1,
        onClick: () => onOpen(id, order),
        onDragstart: (event: DragEvent) => {
          event.dataTransfer?.setData(DRAGGED, id);
          if (event.dataTransfer) event.dataTransfer.effectAllowed = "move";
        },
        onKeydown: (event: KeyboardEvent) => moved(event, id),
        onFocus: () => enter(id),
      },
      h("img", { alt: "", draggable: false, decoding: "async" }),
    );
    observer.observe(button);
    return button;
  }

  function enter(id: string): void {
    for (const [other, button] of known) button.tabIndex = other === id ? 0 : -1;
  }

  function moved(event: KeyboardEvent, id: string): void {
    const at = order.indexOf(id);
    const columns = Math.max(1, getComputedStyle(element).gridTemplateColumns.split(" ").length);
    const steps: Readonly<Record<string, number>> = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: columns,
      ArrowUp: -columns,
    };
    if ((event.key === "Delete" || event.key === "Backspace") && onDelete !== undefined) {
      event.preventDefault();
      const next = order[at + 1] ?? order[at - 1];
      onDelete(id);
      if (next !== undefined) known.get(next)?.focus();
      return;
    }
    const step = event.key === "Home" ? -at : event.key === "End" ? order.length - 1 - at : steps[event.key];
    const target = step === undefined ? undefined : order[at + step];
    if (target === undefined) return;
    event.preventDefault();
    known.get(target)?.focus();
  }

  return {
    element,
    update(images) {
      const ids = new Set(images.map(({ id }) => id));
      for (const [id, button] of known) {
        if (ids.has(id)) continue;
        observer.unobserve(button);
        const image = button.querySelector("img");
        if (image?.src) URL.revokeObjectURL(image.src);
        button.remove();
        known.delete(id);
      }
      let before: Element | null = null;
      for (const state of images) {
        const button = known.get(state.id) ?? create(state);
        if (!known.has(state.id)) known.set(state.id, button);
        const next: Element | null = before === null ? element.firstElementChild : before.nextElementSibling;
        if (next !== button) element.insertBefore(button, next);
        before = button;
        button.classList.toggle("held", state.held);
        button.classList.toggle("wrong", state.wrong);
        button.classList.toggle("waiting", state.waiting);
        button.classList.toggle("broken", state.broken);
        if (button.title !== state.label) {
          button.title = state.label;
          button.setAttribute("aria-label", state.label);
        }
        // a small image may be there by now
        if (!state.waiting && button.dataset["waited"] === "yes")
          void show(button, false).then(async () => show(button, true));
        button.dataset["waited"] = state.waiting ? "yes" : "no";
      }
      order = images.map(({ id }) => id);
      if (![...known.values()].some(({ tabIndex }) => tabIndex === 0)) {
        const first = known.get(order[0] ?? "");
        if (first) first.tabIndex = 0;
      }
    },
  };
}
