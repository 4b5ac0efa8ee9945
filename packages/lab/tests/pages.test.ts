/** Pages of analyses in a browser: light and dark, on a desk and on a phone. What is in them is tested beside each analysis. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeAgreement } from "../src/agreement/agreement-files.ts";
import { measureAgreement } from "../src/agreement/agreement.ts";
import { writeAblation } from "../src/ablation/files.ts";
import { attentionFiles } from "../src/attention/attention-files.ts";
import { attentionMaps } from "../src/attention/attention.ts";
import { writeEvaluation } from "../../deit/src/report/evaluation-files.ts";
import { writeThroughput } from "../src/throughput/files.ts";
import { throughputRows } from "../src/throughput/rows.ts";
import { writeTokens } from "../src/tokens/tokens-files.ts";
import { analyzeTokens } from "../src/tokens/tokens.ts";
import { measureCheckpoints } from "../../deit/src/evaluation/measure-checkpoints.ts";
import { temporaryFolder } from "../../deit/tests/data/temporary.ts";
import type { Browser } from "../../deit/tests/helpers/chromium.ts";
import { chromium, openBrowser } from "../../deit/tests/helpers/chromium.ts";
import { writeRandomModel } from "../../deit/tests/helpers/random-model.ts";
import { CLASSES, writePhotos } from "../../deit/tests/training/photos.ts";
import { measuredStudy } from "./ablation/measured.ts";
import { measuredRows } from "./throughput/measured.ts";

const CPU = { device: "cpu", threads: 1, workers: 0 } as const;
const COMMAND =
  "deit analyze something --with a-long-path/that-has-no-place-to-break/anywhere-at-all/in-its-whole-length";

/** Writes a page into the folder. */
const pages: Readonly<Record<string, (folder: string) => Promise<unknown>>> = {
  agreement: async (folder) =>
    writeAgreement(folder, await measureAgreement({ checkpoints: models(), ...few() }), { command: COMMAND }),
  eval: async (folder) =>
    writeEvaluation(folder, await measureCheckpoints({ checkpoints: models(), ...few() }), {
      command: COMMAND,
    }),
  tokens: async (folder) =>
    writeTokens(
      folder,
      await analyzeTokens({ checkpoint: at("distilled"), dataPath: photos, ...CPU }),
      COMMAND,
    ),
  attention: async (folder) => {
    const files = attentionFiles(folder);
    const source = await attentionMaps(
      { checkpoint: at("distilled"), images: [join(photos, "disc", "0.png")], device: "cpu", threads: 1 },
      async (maps, from) => void (await files.add(maps, from)),
    );
    await files.finish(source, COMMAND);
  },
  throughput: async (folder) => {
    const { rows } = await throughputRows({ models: ["deit_tiny_patch16_224", "regnety_040"] });
    const measured = measuredRows(rows, (i) => ({
      batchMemoryMiB: 300 + 100 * i,
      acc1: 72 + i,
      acc5: 90,
      images: 650,
      pareto: true,
      paretoMemory: true,
    }));
    const table = { rows: measured, device: "cpu", threads: 2, runtimeMiB: 150 };
    await writeThroughput(folder, table, { command: COMMAND });
  },
  ablation: async (folder) => {
    await mkdir(folder); // where its trainings were
    await writeAblation(folder, measuredStudy(), { command: COMMAND });
  },
};

let root = "";
let photos = "";
let browser: Browser | undefined;
const at = (name: string): string => join(root, `${name}.safetensors`);
const models = (): string[] => [at("plain"), at("distilled")];
const few = () => ({ dataPath: photos, resamples: 20, ...CPU });

/** What is asked of a page. One drawing of a figure serves both themes. */
const LOOK = `({
  wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  words: document.body.innerText.split(/\\s+/).length,
  background: getComputedStyle(document.body).backgroundColor,
  figures: [...document.querySelectorAll(".figure")].filter((figure) => figure.querySelector("svg")).map((figure) =>
    [...figure.querySelectorAll(":scope > svg")].map((svg) => [svg.getBoundingClientRect(), svg.width.baseVal.value])
      .filter(([{ width, height }]) => width > 0 || height > 0)
      .map(([{ width, height }, drawn]) => ({ width, height, drawn }))),
  images: [...document.images].every(({ complete, naturalWidth }) => complete && naturalWidth > 0),
})`;

interface Look {
  readonly wider: number;
  readonly words: number;
  readonly background: string;
  /** `drawn` is the width that its letters were chosen for. */
  readonly figures: readonly (readonly { width: number; height: number; drawn: number }[])[];
  readonly images: boolean;
}

describe.skipIf(chromium === undefined)("in Chromium", () => {
  beforeAll(async () => {
    root = await temporaryFolder();
    photos = await writePhotos(join(root, "photos"), { perClass: 2 });
    await writeRandomModel(at("plain"), { model: "deit_w64d4_patch4_32", classes: CLASSES, seed: 1 });
    await writeRandomModel(at("distilled"), {
      model: "deit_w64d4_distilled_patch4_32",
      classes: CLASSES,
      seed: 2,
    });
    browser = await openBrowser(chromium ?? "");
  }, 120_000);
  afterAll(async () => browser?.close());

  test.each(Object.keys(pages))("the page of %s", { timeout: 120_000 }, async (name) => {
    await pages[name]?.(join(root, name));
    const backgrounds = new Set<string>();
    for (const scheme of ["light", "dark"] as const) {
      for (const width of [390, 1280]) {
        const view = `${scheme}, ${width} pixels`;
        const seen = await browser?.look(join(root, name, "index.html"), { scheme, width }, LOOK);
        expect([seen?.requests, seen?.errors], view).toEqual([[], []]);
        const {
          wider,
          words = 0,
          background = "",
          figures = [],
          images,
        } = (seen?.value ?? {}) as Partial<Look>;
        expect([wider, images], view).toEqual([0, true]);
        expect(words, view).toBeGreaterThan(30);
        if (name !== "attention") expect(figures.length, view).toBeGreaterThan(0);
        for (const shown of figures) {
          expect(shown, view).toHaveLength(1);
          const [{ width: wide, height, drawn } = { width: 0, height: 0, drawn: 0 }] = shown;
          expect(Math.min(wide, height), view).toBeGreaterThan(80);
          expect(wide, `${view}: letters are not made too small to read`).toBeGreaterThan(
            Math.min(drawn, 560) - 1,
          );
        }
        backgrounds.add(background);
      }
    }
    expect(backgrounds.size).toBe(2);
  });
});
