/** Which weights to start from. */
import type { App } from "../app.ts";
import { HUB_MODELS, hubModel, pageModel } from "../state/models.ts";
import { TEXT } from "../texts.ts";
import { h, icon, ICONS } from "../ui/dom.ts";

export function modelDialog(app: App): { element: HTMLDialogElement; open(): void } {
  const pick = h("input", { type: "file", accept: ".safetensors", hidden: true, class: "pick-model" });
  pick.addEventListener("change", () => {
    const file = pick.files?.[0];
    pick.value = "";
    if (file)
      void use(async () => ({
        bytes: await file.arrayBuffer(),
        name: file.name.replace(/\.safetensors$/, ""),
        origin: "file" as const,
      }));
  });
  async function use(get: () => ReturnType<typeof pageModel>): Promise<void> {
    element.close();
    try {
      await app.chooseModel(await get());
    } catch (error) {
      app.fail(error);
    }
  }
  const choice = (title: string, about: string, onClick: () => void, key: string): HTMLElement =>
    h(
      "button",
      { type: "button", class: "choice", "data-choice": key, onClick },
      h("strong", {}, title),
      h("span", { class: "muted" }, about),
    );
  const element = h(
    "dialog",
    { class: "model-dialog", "aria-label": TEXT.model.title },
    h(
      "header",
      {},
      h("h2", {}, TEXT.model.title),
      h(
        "button",
        { type: "button", class: "icon-button", "aria-label": TEXT.close, onClick: () => element.close() },
        icon(ICONS.close),
      ),
    ),
    h("p", {}, TEXT.model.lead),
    ...HUB_MODELS.map(({ id, name, megabytes }) =>
      choice(
        TEXT.model.hub(name),
        TEXT.model.hubAbout(megabytes),
        () => void use(async () => hubModel(id, { onProgress: (share) => app.loading(share) })),
        id,
      ),
    ),
    choice(TEXT.model.file, TEXT.model.fileAbout, () => pick.click(), "file"),
    choice(TEXT.model.page, TEXT.model.pageAbout, () => void use(pageModel), "page"),
    pick,
  );
  return { element, open: () => element.showModal() };
}
