/** Take away: the classifier as files for other programs, and the project as one file. */
import type { App } from "../app.ts";
import { TEXT } from "../texts.ts";
import { fill, h, icon, ICONS } from "../ui/dom.ts";
import type { View } from "./view.ts";

export function takeAwayView(app: App, say: (text: string) => void): View {
  const made = h("div", { class: "made", role: "status" });
  const make = h(
    "button",
    { type: "button", class: "primary", onClick: () => void run() },
    icon(ICONS.download),
    TEXT.away.make,
  );
  const need = h("p", { class: "note" }, TEXT.away.need);
  const pick = h("input", { type: "file", accept: ".zip,.deit", hidden: true, class: "pick-project" });
  pick.addEventListener("change", () => {
    const file = pick.files?.[0];
    pick.value = "";
    if (file)
      void app
        .openProjectFile(file)
        .then(() => say(TEXT.away.opened(app.project.name || file.name)))
        .catch((error: unknown) => app.fail(error));
  });
  const save = h(
    "button",
    { type: "button", onClick: () => void saveProject() },
    icon(ICONS.download),
    TEXT.away.saveProject,
  );
  const element = h(
    "div",
    { class: "view narrow" },
    h(
      "section",
      { class: "panel" },
      h("h1", {}, TEXT.away.title),
      h("p", {}, TEXT.away.lead),
      h(
        "dl",
        { class: "contents" },
        ...Object.entries(TEXT.away.contents).flatMap(([path, about]) => [
          h("dt", {}, h("code", {}, path)),
          h("dd", {}, about),
        ]),
      ),
      need,
      h("div", { class: "row" }, make),
      made,
    ),
    h(
      "section",
      { class: "panel" },
      h("h2", {}, TEXT.away.project),
      h("p", {}, TEXT.away.projectLead),
      h(
        "div",
        { class: "row" },
        save,
        h(
          "button",
          { type: "button", onClick: () => pick.click() },
          icon(ICONS.folder),
          TEXT.away.openProject,
        ),
        pick,
      ),
      h("p", { class: "muted small" }, TEXT.away.replace),
    ),
  );

  async function run(): Promise<void> {
    make.disabled = true;
    fill(made, h("p", {}, TEXT.away.making), h("progress", {}));
    try {
      const { files, checks, images } = await app.takeAway();
      const { writeZip } = await import("../state/zip.ts");
      const zip = await writeZip(files.map(({ path, bytes }) => [path, new Blob([bytes])] as const));
      const url = URL.createObjectURL(zip);
      fill(
        made,
        h(
          "ul",
          { class: "checks" },
          ...checks.map(({ path, largestDifference }) =>
            h("li", {}, TEXT.away.checked(path, images, largestDifference.toExponential(1))),
          ),
        ),
        h(
          "a",
          { class: "button primary", href: url, download: `${fileName(app)}.zip` },
          icon(ICONS.download),
          TEXT.away.download(sizeText(zip.size)),
        ),
      );
    } catch (error) {
      fill(made);
      app.fail(error);
    } finally {
      make.disabled = false;
      update();
    }
  }

  async function saveProject(): Promise<void> {
    save.disabled = true;
    try {
      offer(await app.projectFile(), `${fileName(app)}.deit.zip`);
    } catch (error) {
      app.fail(error);
    } finally {
      save.disabled = false;
    }
  }

  function update(): void {
    need.hidden = app.taught !== undefined;
    make.disabled = app.taught === undefined;
    save.disabled = app.project.classes.length === 0;
  }

  return { element, update };
}

/** Starts a download. */
export function offer(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function fileName({ project }: App): string {
  return (
    (project.name || TEXT.project.unnamed)
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}]+/gu, "-")
      .replaceAll(/^-|-$/g, "") || "classifier"
  );
}

function sizeText(bytes: number): string {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
