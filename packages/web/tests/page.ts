/** The built page in this machine's Chromium. Tests are skipped, with a message, where there is none. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { chromium as launcher } from "playwright-core";
import { build } from "vite";

const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/opt/google/chrome/chrome"];

/** Its path; undefined where there is none. */
export const chromium = PROGRAMS.find((path) => existsSync(path));
if (chromium === undefined) console.warn("the page is not tested: there is no Chromium on this machine");

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Builds the page into a folder of its own. */
export async function buildPage(): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "deit-page-"));
  await build({
    configFile: join(ROOT, "vite.config.ts"),
    logLevel: "error",
    build: { outDir: folder, emptyOutDir: true },
  });
  return { folder, remove: async () => rm(folder, { recursive: true, force: true }) };
}

export interface Opened extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Addresses that were asked for which are not the page's own. */
  readonly foreign: string[];
  /** What the console shows as errors, exceptions included. */
  readonly errors: string[];
}

/** Opens an address with storage of its own. */
export async function openPage(url: string, options: BrowserContextOptions = {}): Promise<Opened> {
  const browser = await launcher.launch({
    ...(chromium !== undefined && { executablePath: chromium }),
    args: ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  });
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  const [foreign, errors]: [string[], string[]] = [[], []];
  context.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin && !/^(?:blob|data):/.test(request.url()))
      foreign.push(request.url());
  });
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(error.message));
  page.setDefaultTimeout(240_000); // a busy machine may take long
  await page.goto(url);
  await page.waitForSelector("main h1", { state: "attached" });
  return { page, context, foreign, errors, [Symbol.asyncDispose]: async () => browser.close() };
}

/** Drops a folder of folders, and waits for what the held-out images say. Returns "9 of 9". */
export async function teach(page: Page, folder: string): Promise<string> {
  await page.setInputFiles("input.pick-folder >> nth=0", folder);
  return score(page);
}

/** Waits until all images were looked at and learned from. */
export async function score(page: Page): Promise<string> {
  await page.waitForSelector('.result[aria-busy="false"] .score');
  return (await page.textContent(".score")) ?? "";
}
