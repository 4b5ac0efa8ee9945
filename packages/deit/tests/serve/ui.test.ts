/** The page's server: files of one folder, named runs, nothing else. */
import { appendFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { request as rawRequest } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCommand } from "../cli/run-command.ts";
import type { EpochRecord } from "../../src/training/run/run-log.ts";
import { openRunFolder } from "../../src/training/run/run-folder.ts";
import type { UiServer } from "../../src/serve/ui.ts";
import { startUi } from "../../src/serve/ui.ts";
import { runsView } from "../../src/serve/runs-view.ts";
import { runNames, watchRun } from "../../src/serve/watched-run.ts";
import { temporaryFolder } from "../data/temporary.ts";

let root = "";
let page = "";
let run = "";
let server: UiServer;

const ARGS = { epochs: 3, model: "deit_w64d4_patch4_32" };
const record = (epoch: number): EpochRecord => ({
  epoch,
  train_loss: 2 - epoch / 2,
  train_lr: 1e-3,
  test_loss: 2.1 - epoch / 2,
  test_acc1: 40 + 10 * epoch,
  n_parameters: 9,
  seconds: 60,
});

/** A run of three epochs, of which two are logged. */
async function writeRun(folder: string, logged = 2): Promise<void> {
  await using opened = await openRunFolder(folder, { args: ARGS });
  for (let epoch = 0; epoch < logged; epoch++) await opened.appendEpoch(record(epoch));
}

beforeAll(async () => {
  root = await temporaryFolder();
  page = join(root, "dist");
  await mkdir(join(page, "assets"), { recursive: true });
  await writeFile(join(page, "index.html"), "<!doctype html><title>the page</title>");
  await writeFile(join(page, "assets/app-1.js"), "1;");
  await writeFile(join(root, "secret.txt"), "secret");
  await symlink(join(root, "secret.txt"), join(page, "link.txt"));
  run = join(root, "runs/<b>one");
  await writeRun(run);
  await writeRun(join(root, "runs/other"), 3);
  server = await startUi({ page, runs: [run, join(root, "runs/other")], port: 0 });
});
afterAll(async () => server[Symbol.asyncDispose]());

/** A path as it stands, which `fetch` would put in order. */
async function get(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const { port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    rawRequest({ host: "127.0.0.1", port, path, headers }, (response) => {
      let text = "";
      response.on("data", (part) => (text += String(part)));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    })
      .on("error", reject)
      .end();
  });
}

describe("the page", () => {
  test("is served with what threads need, and its hashed files are kept", async () => {
    const first = await fetch(server.url);
    expect(await first.text()).toContain("the page");
    expect(Object.fromEntries(first.headers)).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
      "x-content-type-options": "nosniff",
      "cache-control": "no-cache",
    });
    const script = await fetch(`${server.url}assets/app-1.js`);
    expect(script.headers.get("cache-control")).toContain("immutable");
    expect(
      (await fetch(`${server.url}assets/app-1.js`, { method: "HEAD" })).headers.get("content-length"),
    ).toBe("2");
  });
  test.each([
    "/../secret.txt",
    "/..%2fsecret.txt",
    "/assets/..%2f..%2fsecret.txt",
    "/%2e%2e/secret.txt",
    "/link.txt",
    "/assets",
    "/assets/",
    "//etc/passwd",
    "/index.html%00.js",
    "/runs/..%2fsecret.txt",
    "/runs/other/log.jsonl",
  ])("has no %s", async (path) => {
    const { status, text } = await get(path);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(text).not.toContain("secret\n");
    expect(JSON.parse(text)).toMatchObject({ code: expect.stringMatching(/^serve\//) });
  });
  test("answers this machine's names alone", async () => {
    expect((await get("/", { host: "evil.example" })).status).toBe(403);
    expect((await get("/runs/view", { origin: "https://evil.example" })).status).toBe(403);
  });
  test("a file that is built later is found", async () => {
    await writeFile(join(page, "later.svg"), "<svg/>");
    expect((await fetch(`${server.url}later.svg`)).headers.get("content-type")).toBe("image/svg+xml");
  });
});

describe("runs", () => {
  test("are shown with curves and where they are; names are text", async () => {
    expect(await (await fetch(`${server.url}runs`)).text()).toContain('src="/runs/view.js"');
    const text = await (await fetch(`${server.url}runs/view`)).text();
    expect(text).toContain("&lt;b&gt;one");
    expect(text).not.toContain("<b>one");
    expect(text).toMatch(/2 of 3[\s\S]*3 of 3/);
    expect(text).toMatch(/stopped[\s\S]*finished/);
    expect(text).toContain("50.00 %");
    expect(text.match(/<svg[^>]*role="img"/g)).toHaveLength(4);
  });
  test("of twelve: those after the eighth are dashed, and a cosine of the tokens is a curve", async () => {
    const log = [0, 1].map((epoch) => ({
      ...record(epoch),
      test_token_similarity: { parameters: 0.05, lastLayer: 0.9 + epoch / 100 },
    }));
    const watched = { ...(await watchRun(run)), log, imagesPerSecond: 512 };
    const text = runsView(Array.from({ length: 12 }, () => watched));
    expect(text).toContain("cosine");
    expect(text).toContain(">512<");
    expect(text.match(/stroke-dasharray="6 4"/g)).toHaveLength(4 * 5);
    expect(runsView([await watchRun(run)])).not.toContain("cosine");
  });
  test("say their images a second, from the record", async () => {
    const folder = join(root, "recorded");
    await writeRun(folder);
    expect(await watchRun(folder)).toMatchObject({ imagesPerSecond: undefined });
    const images = { train: 6000, validation: 10, unused: 0, ownValidation: false };
    await writeFile(
      join(folder, "record.json"),
      JSON.stringify({
        format: "deit-run/1",
        run: "r",
        classes: ["a", "b"],
        images,
        samples: [],
        selection: "last",
        program: { model: "m", vectors: {} },
      }),
    );
    expect(await watchRun(folder)).toMatchObject({ imagesPerSecond: 100 });
  });
  test("are refused a port that is taken, with words", async () => {
    const { code, err } = await runCommand(["ui", run, "--port", new URL(server.url).port]);
    expect([code, err]).toEqual([2, expect.stringMatching(/port \d+ of .* is taken[\s\S]*--port/)]);
  });
  test("are followed: nothing is sent again until one has changed", async () => {
    const url = `${server.url}runs/view`;
    const tag = (await fetch(url)).headers.get("etag") ?? "";
    expect((await fetch(url, { headers: { "if-none-match": tag } })).status).toBe(304);
    const added = { ...record(2), test_acc1: 71.25 };
    await appendFile(join(run, "log.jsonl"), `${JSON.stringify(added)}\n`);
    const next = await fetch(url, { headers: { "if-none-match": tag } });
    expect(next.status).toBe(200);
    expect(await next.text()).toContain("71.25 %");
  });
  test("that train have a time left, from the last epochs", async () => {
    const folder = join(root, "training");
    await writeRun(folder, 1);
    expect(await watchRun(folder)).toMatchObject({ state: "stopped", secondsLeft: undefined });
    await using opened = await openRunFolder(folder, { args: ARGS });
    await opened.appendEpoch(record(0));
    expect(await watchRun(folder)).toMatchObject({
      state: "training",
      secondsPerEpoch: 60,
      secondsLeft: 120,
    });
  });
  test("that are damaged are said, beside the others", async () => {
    const folder = join(root, "damaged");
    await writeRun(folder);
    await writeFile(join(folder, "args.yaml"), "# A run of deit train.\n[");
    expect(await watchRun(folder)).toMatchObject({ state: "unreadable", log: [] });
  });
  test("a folder that is none is refused", async () => {
    await expect(startUi({ runs: [page], port: 0 })).rejects.toMatchObject({ code: "run/no-run" });
    const { code, err } = await runCommand(["ui", page, "--port", "0"]);
    expect([code, err]).toEqual([1, expect.stringContaining("run/no-run")]);
  });
  test("have names that differ", () => {
    expect(runNames(["/a/x", "/b/x", "/b/y"])).toEqual(["a/x", "b/x", "y"]);
  });
});
