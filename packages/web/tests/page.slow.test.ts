/** The page in a real browser: teach, correct, reload, try, take away; without a network; on a phone; by keyboard. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openClassifier } from "deit-ts";
import { parseLog } from "deit-ts/web";
import { serveStatic } from "../serve.ts";
import type { UiServer } from "../../deit/src/serve/ui.ts";
import { readZip } from "../src/state/zip.ts";
import { readRun, trainInNode } from "./same-run.ts";
import { buildPage, chromium, openPage, score, teach } from "./page.ts";
import { CLASSES, photo, writePhotos } from "./photos.ts";

const AXE = join(dirname(createRequire(import.meta.url).resolve("axe-core/package.json")), "axe.min.js");

let root = "";
let photos = "";
let folder = "";
let server: UiServer;
beforeAll(async () => {
  if (chromium === undefined) return;
  root = await mkdtemp(join(tmpdir(), "deit-web-"));
  photos = await writePhotos(join(root, "photos"));
  const built = await buildPage();
  ({ folder } = built);
  server = await serveStatic(folder);
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await built.remove();
    await rm(root, { recursive: true, force: true });
  });
}, 240_000);

/** What axe finds in what is shown. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(await readFile(AXE, "utf8"));
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    return (await axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ""}`);
  });
}

describe.skipIf(chromium === undefined)("the page", { timeout: 300_000 }, () => {
  test("teaches a classifier of a folder, is corrected, and has it all after a reload", async () => {
    await using opened = await openPage(server.url);
    const { page, foreign, errors } = opened;
    const before = await teach(page, photos);
    expect(before).toMatch(/^(?:8|9) of 9$/);
    expect(await page.locator(".card").count()).toBe(3);
    expect(await page.textContent(".interval")).toContain("95 % interval");

    // a held-out image to another class: now it counts as wrong there, or not at all
    const card = page.locator(".card", { has: page.locator("input.name") }).first();
    await card.locator(".thumb.held").first().click();
    await page.selectOption(".image-dialog select", { label: "stripes" });
    await expect.poll(async () => page.textContent(".score")).not.toBe(before);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+z");
    await expect.poll(async () => page.textContent(".score")).toBe(before);

    // deleted by keyboard, and back
    await card.locator(".thumb").first().focus();
    await page.keyboard.press("Delete");
    await expect.poll(async () => card.locator(".amount").textContent()).toContain("11 images");
    await page.click('.toast button:has-text("Undo")');
    await expect.poll(async () => card.locator(".amount").textContent()).toContain("12 images");

    await page.waitForTimeout(1500); // saved a moment after the last change
    await page.reload();
    expect(await score(page)).toBe(before);
    expect(foreign).toEqual([]);
    expect(errors).toEqual([]);
  });

  test("what is taken away answers as the page does: in deit-ts, as ONNX and in transformers.js", async () => {
    await using opened = await openPage(server.url, { acceptDownloads: true });
    const { page, errors } = opened;
    await teach(page, photos);
    await page.click('a[data-view="try"]');
    const asked = join(root, "asked.png");
    await writeFile(asked, await (await photo("discs", 77, { width: 120, height: 90 })).png().toBuffer());
    await page.setInputFiles("input.pick-try", asked);
    await page.waitForSelector(".answers .heads");
    expect(await page.locator(".bars h3").allTextContents()).toEqual([
      "Class token",
      "Distillation token",
      "Both together",
      "Class token",
      "Distillation token",
    ]);
    const shown = await page.locator(".bars").nth(2).locator(".percent").first().textContent();
    await page.click('a[data-view="away"]');
    await page.click("text=Make the files");
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(".made a")]);
    const out = join(root, "away");
    for (const [path, file] of await readZip(new Blob([await readFile(await download.path())]))) {
      const target = join(out, path);
      await import("node:fs/promises").then(async ({ mkdir }) => mkdir(dirname(target), { recursive: true }));
      await writeFile(target, new Uint8Array(await file.arrayBuffer()));
    }
    for (const path of [
      "model.safetensors",
      "transformers-js/onnx/model.onnx",
      "transformers-js/model.safetensors",
    ]) {
      await using classifier = await openClassifier(join(out, path), { device: "cpu", threads: 1 });
      const [best] = await classifier.classify(asked);
      expect(best?.label, path).toBe("discs");
      expect(Math.abs(100 * (best?.score ?? 0) - Number.parseFloat(shown ?? "")), path).toBeLessThan(0.6);
      expect(classifier.labels.toSorted(), path).toEqual(CLASSES);
    }
    const { pipeline, env } = await import("@huggingface/transformers");
    env.allowRemoteModels = false;
    const classify = await pipeline("image-classification", join(out, "transformers-js"), {
      dtype: "fp32",
      device: "cpu",
    });
    expect(await classify(asked, { top_k: 1 })).toMatchObject([{ label: "discs" }]);
    await classify.dispose();
    expect(errors).toEqual([]);
  });

  test("makes it better: paused, gone on with after a reload, judged on the same images; the losses are Node's", async () => {
    await using opened = await openPage(server.url);
    const { page, errors } = opened;
    await teach(page, photos);
    await page.selectOption(".better select >> nth=1", "3");
    await page.click("text=Start fine-tuning");
    await page.waitForSelector(".better .chart"); // an epoch is done
    await page.click('.better button:has-text("Pause")');
    await page.waitForSelector('.better button:has-text("Continue")');
    await page.reload();
    await page.click('.better button:has-text("Continue")');
    await page.waitForSelector(".outcome strong");
    expect(await page.textContent(".outcome strong")).toMatch(/^\d → \d of 9 held-out images correct$/);
    expect(await score(page)).toMatch(/of 9$/);
    expect(errors).toEqual([]);
    const files = await page.evaluate(readRun);
    const there = parseLog(files["log.jsonl"] ?? "");
    expect(there.map(({ epoch }) => epoch)).toEqual([0, 1, 2]);
    const here = await trainInNode(files, photos);
    for (const [i, record] of there.entries())
      for (const key of ["train_loss", "test_loss"]) {
        const [own, other] = [Number(record[key]), Number(here[i]?.[key])];
        expect(Math.abs(own - other) / other, `${key} of epoch ${i}`).toBeLessThan(1e-4);
      }
  });

  test("a project is one file: saved, and opened in another browser", async () => {
    const file = join(root, "project.zip");
    let before = "";
    {
      await using opened = await openPage(server.url, { acceptDownloads: true });
      before = await teach(opened.page, photos);
      await opened.page.click('a[data-view="away"]');
      const [download] = await Promise.all([
        opened.page.waitForEvent("download"),
        opened.page.click("text=Save the project"),
      ]);
      await download.saveAs(file);
    }
    await using opened = await openPage(server.url);
    await opened.page.click('a[data-view="away"]');
    await opened.page.setInputFiles("input.pick-project", file);
    await opened.page.click('a[data-view="teach"]');
    expect(await score(opened.page)).toBe(before);
    expect(opened.errors).toEqual([]);
  });

  test("works without a network after the first visit, and is isolated on a host that sends no headers", async () => {
    await using plain = await serveStatic(folder, { isolated: false });
    await using opened = await openPage(plain.url);
    const { page, context } = opened;
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
    await page.evaluate(async () => navigator.serviceWorker.ready);
    await page.reload();
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    const before = await teach(page, photos);
    await context.setOffline(true);
    await page.reload();
    expect(await score(page)).toBe(before);
  });

  test("explains the model with what it computes from an image", async () => {
    await using opened = await openPage(`${server.url}#understand`);
    const { page, errors } = opened;
    await page.waitForSelector(".losses .loss");
    expect(await page.locator(".layer-maps canvas").count()).toBe(8); // two tokens, four blocks
    expect(await page.locator(".chart circle").count()).toBe(5);
    const loss = async (): Promise<string | null> => page.textContent(".losses .score >> nth=0");
    const before = await loss();
    await page.locator('.story input[type="range"]').last().fill("1"); // λ: the teacher alone
    await expect.poll(loss).not.toBe(before);
    const [soft, parts] = [await loss(), await page.textContent(".losses .small >> nth=0")];
    expect(parts).toContain(`teacher ${soft}`);
    expect(errors).toEqual([]);
  });

  test("has no accessibility violations and no sideways scrolling, on a phone too, light and dark", async () => {
    await using opened = await openPage(server.url, { viewport: { width: 390, height: 780 } });
    const { page } = opened;
    const check = async (view: string): Promise<void> => {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        expect(await violations(page), `${view}, ${colorScheme}`).toEqual([]);
      }
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      expect(width, view).toBeLessThanOrEqual(390);
    };
    await check("empty");
    await teach(page, photos);
    for (const view of ["teach", "try", "away", "understand"]) {
      await page.click(`a[data-view="${view}"]`);
      if (view === "understand") await page.waitForSelector(".losses .loss");
      await check(view);
    }
  });
});
