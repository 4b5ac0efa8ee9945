/** Under load: a full queue, a model that is replaced, a stop. No request is lost, and what is refused is refused in words. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, rename, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { writeRandomModel } from "../helpers/random-model.ts";
import { CLASSES } from "../training/photos.ts";
import type { Files, Reply } from "./serving.ts";
import { ask, post, serverFiles, start } from "./serving.ts";

const JPEG = { "content-type": "image/jpeg" };
let files: Files;
let other = "";
beforeAll(async () => {
  files = await serverFiles();
  other = join(files.root, "two.safetensors");
  await writeRandomModel(other, { model: "deit_w64d4_distilled_patch4_32", classes: CLASSES, seed: 9 });
});

/** Asks from several connections until `isOver`. */
async function load(url: string, clients: number, isOver: () => boolean): Promise<Reply[]> {
  const replies: Reply[] = [];
  const client = async (): Promise<void> => {
    while (!isOver()) replies.push(await post(url, files.image, JPEG));
  };
  await Promise.all(Array.from({ length: clients }, client));
  return replies;
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1200; i++) {
    if (await isSo()) return;
    await sleep(25);
  }
  throw new Error("it did not come to that");
}

test("images that come together are computed together", async () => {
  const server = await start([`a=${files.model}`], { maxBatch: 8 });
  let isOver = false;
  const answered = load(`${server.url}/`, 24, () => isOver);
  await sleep(1500);
  isOver = true;
  const replies = await answered;
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
  expect(new Set(replies.map(({ body }) => body[0].label)).size).toBe(1);
  const { body } = await ask(`${server.url}/metrics`);
  const number = (name: string): number =>
    Number(new RegExp(`^deit_batch_images_${name}\\{.*\\} (\\S+)$`, "m").exec(body)?.[1]);
  expect(number("sum")).toBe(replies.length);
  // How many go together depends on the machine: this model takes less time than decoding (batcher.test.ts has the rules).
  expect(number("count")).toBeLessThan(number("sum"));
});

test("a full queue refuses at once, with words and Retry-After, and what has a place is answered", async () => {
  const server = await start([`a=${files.model}`], { maxQueue: 3, maxBytes: 20_000_000 });
  const { data } = await sharp({ create: { width: 3000, height: 3000, channels: 3, background: "teal" } })
    .png()
    .toBuffer({ resolveWithObject: true });
  const replies = await Promise.all(
    Array.from({ length: 20 }, async () => post(`${server.url}/`, new Uint8Array(data), JPEG)),
  );
  const busy = replies.filter(({ status }) => status === 503);
  expect(replies.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(3);
  expect(busy.length).toBeGreaterThan(0);
  expect(replies.every(({ status }) => status === 200 || status === 503)).toBe(true);
  expect(busy[0]?.body.code).toBe("serve/busy");
  expect(busy[0]?.headers.get("retry-after")).toBe("1");
  await until(() => server.accepted === 0);
});

test("a request that takes too long is given up with words", async () => {
  const server = await start([`a=${files.model}`], { timeout: 0.001, maxBytes: 20_000_000 });
  const { status, body } = await post(`${server.url}/`, files.image, JPEG);
  expect([status, body.code]).toEqual([503, "serve/timeout"]);
});

describe("a reload", () => {
  test(
    "on request and by a changed file loses no request, and the answers change",
    { timeout: 120_000 },
    async () => {
      const file = join(files.root, "served.safetensors");
      await copyFile(files.model, file);
      const notes: string[] = [];
      const server = await start([`a=${file}`], {}, { onNote: (note) => notes.push(note) });
      const scoreOf = ({ body }: Reply): number =>
        body.find(({ label }: { label: string }) => label === CLASSES[0]).score;
      const before = scoreOf(await post(`${server.url}/`, files.image, JPEG));
      let isOver = false;
      const answered = load(`${server.url}/`, 8, () => isOver);
      for (let i = 0; i < 3; i++) {
        const reloaded = await ask(`${server.url}/models/a/reload`, { method: "POST" });
        expect(reloaded.status).toBe(200);
      }
      const part = `${file}.part`;
      await copyFile(other, part);
      await utimes(part, new Date(), new Date(Date.now() + 5000));
      await rename(part, file);
      await until(() => notes.length >= 4);
      await sleep(100);
      isOver = true;
      const replies = await answered;
      expect(replies.filter(({ status }) => status !== 200)).toEqual([]);
      expect(replies.length).toBeGreaterThan(20);
      const after = scoreOf(await post(`${server.url}/`, files.image, JPEG));
      expect(Math.abs(after - before)).toBeGreaterThan(1e-4);
      expect(new Set(replies.map((reply) => scoreOf(reply).toFixed(4)))).toEqual(
        new Set([before, after].map((score) => score.toFixed(4))),
      );
    },
  );
  test("that fails leaves the model before, and is said", async () => {
    const file = join(files.root, "breaks.safetensors");
    await copyFile(files.model, file);
    const warnings: string[] = [];
    const server = await start([`a=${file}`], {}, { onWarning: (warning) => warnings.push(warning) });
    await writeFile(file, "not weights");
    const { status, body } = await ask(`${server.url}/models/a/reload`, { method: "POST" });
    expect([status, body.error]).toEqual([500, "the model failed; see the server's log"]);
    expect(JSON.stringify(body)).not.toContain(files.root);
    expect((await post(`${server.url}/`, files.image, JPEG)).status).toBe(200);
    expect((await ask(`${server.url}/models/a`)).body.problem).toContain("could not be loaded");
    expect(warnings.some((warning) => warning.includes("could not be reloaded"))).toBe(true);
    expect((await ask(`${server.url}/readyz`)).status).toBe(200);
  });
});

test("a stop finishes what was accepted and refuses the rest", async () => {
  const server = await start([`a=${files.model}`]);
  const over = new AbortController();
  const outcomes: (number | "refused")[] = [];
  const client = async (): Promise<void> => {
    while (!over.signal.aborted)
      outcomes.push(
        await post(`${server.url}/`, files.image, JPEG).then(
          ({ status }) => status,
          () => "refused" as const,
        ),
      );
  };
  const clients = Promise.all(Array.from({ length: 6 }, client));
  await until(() => outcomes.length > 20);
  await server.close();
  over.abort();
  await clients;
  expect(outcomes.filter((outcome) => outcome !== 200 && outcome !== 503 && outcome !== "refused")).toEqual(
    [],
  );
  await expect(fetch(`${server.url}/healthz`)).rejects.toThrow();
});

test.skipIf(process.platform === "win32")(
  "the command says where it serves, stops at SIGTERM and ends with 0",
  async () => {
    const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
    const words = [
      "serve",
      `a=${files.model}`,
      "--port",
      "0",
      "--device",
      "cpu",
      "--threads",
      "1",
      "--workers",
      "1",
      "--log",
    ];
    const child = spawn(process.execPath, [main, ...words], { env: { ...process.env, NO_COLOR: "1" } });
    let [out, err] = ["", ""];
    child.stdout.on("data", (part) => (out += String(part)));
    child.stderr.on("data", (part) => (err += String(part)));
    await until(() => err.includes("serving on") || child.exitCode !== null);
    const url = /http:\/\/localhost:\d+/.exec(err)?.[0] ?? "";
    const reply = await post(`${url}/models/a`, files.image, JPEG);
    expect(reply.status).toBe(200);
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    expect(err).toContain("stopping");
    expect(err.trim().endsWith("stopped")).toBe(true);
    expect(err).not.toContain("Warning");
    const line = out.trim().split("\n").at(-1) ?? "{}";
    expect(JSON.parse(line)).toMatchObject({ method: "POST", path: "/models/a", status: 200 });
  },
);
