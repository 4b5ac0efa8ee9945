/** Try: an image or the camera; the answers of each head, and where the tokens look. */
import type { App } from "../app.ts";
import type { LookResult } from "../engine/engine.worker.ts";
import { TEXT } from "../texts.ts";
import { attentionPanel } from "../ui/attention.ts";
import { createCamera } from "../ui/camera.ts";
import { fill, h, icon, ICONS } from "../ui/dom.ts";
import { hueOf } from "./teach.ts";
import type { View } from "./view.ts";

const SHOWN = 5;

export function tryView(app: App): View {
  const camera = createCamera();
  const panel = attentionPanel();
  const answers = h("div", { class: "answers", role: "status" });
  const hint = h("p", { class: "muted" }, TEXT.try.lead);
  const pick = h("input", { type: "file", accept: "image/*", hidden: true, class: "pick-try" });
  pick.addEventListener("change", () => {
    const file = pick.files?.[0];
    pick.value = "";
    if (file) void look(file, file.name);
  });
  const cameraButton = h(
    "button",
    { type: "button", onClick: () => void toggle() },
    icon(ICONS.camera),
    TEXT.try.camera,
  );
  const sample = h(
    "button",
    { type: "button", onClick: () => void lookAtHeld() },
    icon(ICONS.image),
    TEXT.try.ofProject,
  );
  const stage = h("section", { class: "stage" }, hint, camera.element, panel.element);
  panel.element.hidden = true;
  const element = h(
    "div",
    { class: "view" },
    h("h1", { class: "visually-hidden" }, TEXT.try.title),
    h(
      "div",
      { class: "toolbar" },
      h(
        "button",
        { type: "button", class: "primary", onClick: () => pick.click() },
        icon(ICONS.image),
        TEXT.try.choose,
      ),
      cameraButton,
      sample,
      pick,
    ),
    h("div", { class: "try" }, stage, answers),
  );
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) void look(file, file.name);
  });
  let turn = 0;

  async function look(image: Blob | ImageBitmap, name: string): Promise<void> {
    try {
      hint.textContent = app.model.state === "ready" ? "" : TEXT.result.warming;
      const result = await app.look(image, name);
      if (app.model.state !== "ready") return;
      hint.textContent = "";
      panel.element.hidden = false;
      panel.show(result, app.model.facts.grid);
      show(result);
    } catch (error) {
      hint.textContent = TEXT.try.lead;
      app.fail(error);
    }
  }

  /** One held-out image after the other. */
  async function lookAtHeld(): Promise<void> {
    const held = app.project.images.filter((image) => image.held);
    const next = held[turn++ % Math.max(1, held.length)];
    const blob = next && (await app.imageOf(next.id));
    if (blob) await look(blob, next.name);
  }

  async function toggle(): Promise<void> {
    if (camera.isOpen) return stop();
    try {
      await camera.open();
    } catch (error) {
      return app.fail(error);
    }
    fill(cameraButton, icon(ICONS.close), TEXT.try.stop);
    while (camera.isOpen) {
      await look(await camera.frame(), "camera");
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }

  function stop(): void {
    camera.close();
    fill(cameraButton, icon(ICONS.camera), TEXT.try.camera);
  }

  function show({ taught, own, milliseconds }: LookResult): void {
    const { classes } = app.project;
    const sections: (HTMLElement | false | undefined)[] = [];
    if (taught !== undefined) {
      const isNone = taught.distance > taught.threshold;
      const heads = Object.entries(taught.heads).filter(
        ([key]) => key !== "joint" || Object.keys(taught.heads).length > 2,
      );
      sections.push(
        h("h2", {}, TEXT.try.yours),
        isNone && h("p", { class: "note none" }, TEXT.try.noneOfThese),
        h(
          "div",
          { class: "heads" },
          ...heads.map(([head, scores]) =>
            bars(
              heads.length > 1 ? TEXT.try.headNames[head] : undefined,
              scores
                .map((score, index) => ({ label: classes[index]?.name ?? "", score, hue: hueOf(index) }))
                .toSorted((a, b) => b.score - a.score)
                .slice(0, SHOWN),
            ),
          ),
        ),
        h(
          "p",
          { class: "muted small" },
          TEXT.try.nearest(taught.distance.toFixed(3), taught.threshold.toFixed(3)),
        ),
      );
    } else sections.push(h("p", { class: "muted" }, TEXT.try.teachFirst));
    const ownHeads = Object.entries(own);
    sections.push(
      h("h2", {}, TEXT.try.own),
      h(
        "div",
        { class: "heads" },
        ...ownHeads.map(([head, top]) =>
          bars(
            ownHeads.length > 1 ? TEXT.try.headNames[head] : undefined,
            top.map(({ label, score }) => ({ label, score, hue: 220 })),
          ),
        ),
      ),
      h("p", { class: "muted small" }, TEXT.try.time(milliseconds)),
    );
    fill(answers, ...sections);
  }

  return {
    element,
    update() {
      sample.hidden = !app.project.images.some(({ held }) => held);
      if (app.model.state === "loading" && panel.element.hidden) hint.textContent = TEXT.result.warming;
    },
    leave: stop,
  };
}

/** Classes by probability. */
function bars(
  title: string | undefined,
  rows: readonly { label: string; score: number; hue: number }[],
): HTMLElement {
  return h(
    "div",
    { class: "bars" },
    title !== undefined && h("h3", {}, title),
    h(
      "ol",
      {},
      ...rows.map(({ label, score, hue }, i) =>
        h(
          "li",
          { class: i === 0 ? "first" : "", style: { "--hue": hue } },
          h("span", { class: "label" }, label),
          h(
            "span",
            { class: "percent" },
            `${(100 * score).toFixed(score > 0.995 || score < 0.0995 ? 1 : 0)} %`,
          ),
          h(
            "span",
            { class: "track", "aria-hidden": "true" },
            h("span", { style: { width: `${(100 * score).toFixed(1)}%` } }),
          ),
        ),
      ),
    ),
  );
}
