/** The page of a check: what was found, with the images. */
import type { Html } from "../figures/html.ts";
import { html } from "../figures/html.ts";
import type { PageSection } from "../figures/page.ts";
import { figurePage } from "../figures/page.ts";
import { thumbnail, thumbnailImage } from "../report/examples.ts";
import type { CheckedImage, DataCheck, ImageProblem, ProblemKind } from "./problems.ts";
import { balanceLine, labelsLine, PROBLEM_KINDS } from "./problems.ts";

/** Images of a kind that are shown; the table has all. */
const SHOWN = 60;

const SECTIONS: Readonly<Record<ProblemKind, { readonly title: string; readonly lead: string }>> = {
  broken: { title: "Broken", lead: "These files cannot be read." },
  copy: {
    title: "Exact copies",
    lead: "The same file under another name. The second image is the one to keep.",
  },
  "near-copy": {
    title: "Near copies",
    lead: "The same photo: cropped, scaled, mirrored or compressed again. The second image is the one to keep.",
  },
  label: {
    title: "Likely mislabelled",
    lead: "A model that never saw the label finds another class at least three times as probable. The surest come first; some are only unusual images of their class.",
  },
  blurred: { title: "Blurred", lead: "No part of the image is sharp." },
  tiny: { title: "Tiny", lead: "Far fewer pixels than most images of this dataset." },
  empty: { title: "Empty", lead: "Almost one colour." },
};

export async function checkPage(check: DataCheck, { command }: { command: string }): Promise<string> {
  const sections: PageSection[] = [];
  for (const kind of PROBLEM_KINDS) {
    const own = check.problems.filter((problem) => problem.kind === kind);
    if (own.length > 0) sections.push(await problemSection(kind, own));
  }
  const { dataset, images, classes, parts } = check;
  return figurePage({
    kind: "Check of a dataset",
    title: `${dataset}: ${images.toLocaleString("en-US")} images, ${classes.length} classes`,
    lead: [
      parts.map(({ part, images: count }) => `${count.toLocaleString("en-US")} images in ${part}`).join(", "),
      balanceLine(check),
      labelsLine(check),
    ]
      .filter((line) => line !== undefined)
      .map((line) => `${line}.`)
      .join(" "),
    command,
    sections: [
      ...(sections.length === 0 ? [{ title: "Nothing was found" }] : sections),
      {
        title: "Classes",
        table: {
          head: ["class", "images", ...(check.model === null ? [] : ["likely mislabelled"])],
          rows: classes.map(({ name, images: count }) => [
            name,
            count,
            ...(check.model === null
              ? []
              : [
                  check.problems.filter(({ kind, image }) => kind === "label" && image.className === name)
                    .length,
                ]),
          ]),
          right: check.model === null ? [1] : [1, 2],
        },
      },
    ],
  });
}

async function problemSection(kind: ProblemKind, problems: readonly ImageProblem[]): Promise<PageSection> {
  const { title, lead } = SECTIONS[kind];
  const more = problems.length - SHOWN;
  const figures: Html[] = [];
  for (const problem of problems.slice(0, SHOWN)) figures.push(await problemFigure(problem));
  return {
    title: `${title}: ${problems.length.toLocaleString("en-US")}`,
    lead: more > 0 ? `${lead} The first ${SHOWN} are shown; the table has all.` : lead,
    body: html`<div class="card"><div class="images">${figures}</div></div>`,
  };
}

async function problemFigure({ kind, image, other, detail, suggestedClass }: ImageProblem): Promise<Html> {
  return html`<figure>
    ${kind !== "broken" && (await shown(image))} ${other !== undefined && (await shown(other))}
    <figcaption>
      ${suggestedClass !== undefined && html`<span class="wrong">${suggestedClass}?</span><br />`}
      ${image.part}/${image.name} ${other !== undefined && html`<br />keep ${other.part}/${other.name}`}<br />
      <span class="muted">${detail}</span>
    </figcaption>
  </figure>`;
}

async function shown(image: CheckedImage): Promise<Html> {
  const small = await thumbnail(await image.read());
  return thumbnailImage(small, { alt: image.className, title: `${image.part}/${image.name}` });
}
