/** The built site of the documents in Chromium: every page, wide and narrow, light and dark. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildSite, sitePages, siteFiles } from "../../scripts/docs-site.ts";
import { serveStatic } from "../../packages/web/serve.ts";
import { chromium, openPage } from "../../packages/web/tests/page.ts";
import type { UiServer } from "../../packages/deit/src/serve/ui.ts";

const pages = Object.keys(sitePages(siteFiles())).toSorted();

let out = "";
let server: UiServer;
beforeAll(async () => {
  if (chromium === undefined) return;
  out = await mkdtemp(join(tmpdir(), "deit-docs-site-"));
  await buildSite(out);
  server = await serveStatic(out, { isolated: false });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await rm(out, { recursive: true, force: true });
  });
}, 120_000);

/** Goes to a page of the site, and waits until it is drawn. */
async function show(page: Page, file: string): Promise<void> {
  const route = `#/${file.replace(/README\.md$/, "").replace(/\.md$/, "")}`;
  await page.evaluate((hash) => {
    document.querySelector(".markdown-section")?.replaceChildren();
    location.hash = hash;
  }, route);
  await page.waitForSelector(".markdown-section h1", { state: "attached" });
}

describe.skipIf(chromium === undefined)("the site", { timeout: 300_000 }, () => {
  test.each([
    { width: 1280, colorScheme: "light" },
    { width: 390, colorScheme: "dark" },
  ] as const)(
    "%j: every page is shown, within the window, by the site alone",
    async ({ width, colorScheme }) => {
      await using opened = await openPage(server.url, { viewport: { width, height: 800 }, colorScheme });
      const { page, errors, foreign } = opened;
      expect(pages.length).toBeGreaterThan(60);
      for (const file of pages) {
        await show(page, file);
        const { title, scroll, lost } = await page.evaluate(async () => {
          const images = [...document.querySelectorAll<HTMLImageElement>(".markdown-section img")];
          await Promise.all(images.map(async (image) => image.decode().catch(() => {})));
          return {
            title: document.querySelector(".markdown-section h1")?.textContent,
            scroll: document.documentElement.scrollWidth - document.documentElement.clientWidth,
            lost: images.filter(({ naturalWidth }) => naturalWidth === 0).map(({ src }) => src),
          };
        });
        expect(title, file).not.toBe("There is no such page");
        expect(scroll, `${file} is wider than the window`).toBeLessThanOrEqual(0);
        expect(lost, file).toEqual([]);
      }
      expect(errors).toEqual([]);
      expect(foreign).toEqual([]);
    },
  );
});
