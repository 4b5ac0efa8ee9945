/** Images of a class from the camera, as long as a button is held. */
import type { App } from "../app.ts";
import { createCamera } from "../ui/camera.ts";
import { TEXT } from "../texts.ts";
import { h, icon, ICONS } from "../ui/dom.ts";

/** Milliseconds between two images while the button is held. */
const EVERY = 250;

export function captureDialog(app: App): {
  element: HTMLDialogElement;
  open(className: string): Promise<void>;
  close(): void;
} {
  const camera = createCamera();
  const taken = h("p", { class: "muted", role: "status" });
  const title = h("h2", {});
  let className = "";
  let files: File[] = [];
  let timer: ReturnType<typeof setInterval> | undefined;

  async function take(): Promise<void> {
    const bitmap = await camera.frame();
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    bitmap.close();
    const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
    files.push(
      new File([blob], `camera ${new Date().toISOString().slice(11, 23)}.jpg`, { type: "image/jpeg" }),
    );
    taken.textContent = TEXT.capture.taken(files.length);
  }
  const begin = (): void => {
    clearInterval(timer);
    void take();
    timer = setInterval(() => void take(), EVERY);
  };
  const end = (): void => clearInterval(timer);

  const shutter = h(
    "button",
    {
      type: "button",
      class: "primary",
      onPointerdown: begin,
      onPointerup: end,
      onPointerleave: end,
      onPointercancel: end,
      onKeydown: (event: KeyboardEvent) => {
        if ((event.key === " " || event.key === "Enter") && !event.repeat) begin();
      },
      onKeyup: end,
    },
    icon(ICONS.camera),
    TEXT.capture.hold,
  );
  const element = h(
    "dialog",
    { class: "capture-dialog", "aria-label": TEXT.try.camera },
    h(
      "header",
      {},
      title,
      h(
        "button",
        { type: "button", class: "icon-button", "aria-label": TEXT.close, onClick: () => element.close() },
        icon(ICONS.close),
      ),
    ),
    camera.element,
    h("p", { class: "muted small" }, TEXT.capture.help),
    h("div", { class: "row between" }, taken, shutter),
  );
  element.addEventListener("close", () => {
    end();
    camera.close();
    const given = files.map((file) => ({ file, className, held: undefined }));
    files = [];
    if (given.length > 0) void app.addFiles(given, className);
  });

  return {
    element,
    async open(name) {
      className = name;
      title.textContent = TEXT.teach.recordTo(name);
      taken.textContent = "";
      element.showModal();
      try {
        await camera.open();
      } catch (error) {
        element.close();
        app.fail(error);
      }
    },
    close: () => element.close(),
  };
}
