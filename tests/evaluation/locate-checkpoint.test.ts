/** What people may call a checkpoint, and the file that it means. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { locateCheckpoint } from "../../src/evaluation/locate-checkpoint.ts";
import { hubCacheFolder, isHubId } from "../../src/interop/hub-cache.ts";
import { temporaryFolder } from "../data/temporary.ts";

let root = "";
beforeEach(async () => {
  root = await temporaryFolder();
  vi.stubEnv("HF_HUB_CACHE", join(root, "hub"));
});
afterEach(() => vi.unstubAllEnvs());

async function write(...parts: string[]): Promise<string> {
  const path = join(root, ...parts);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, "x");
  return path;
}

test("a file is itself, a folder its best weights", async () => {
  const file = await write("a.pth");
  expect(await locateCheckpoint(file)).toBe(file);
  const last = await write("run", "last.safetensors");
  expect(await locateCheckpoint(join(root, "run"))).toBe(last);
  const best = await write("run", "best.safetensors");
  expect(await locateCheckpoint(join(root, "run"))).toBe(best);
  const bin = await write("hf", "pytorch_model.bin");
  expect(await locateCheckpoint(join(root, "hf"))).toBe(bin);
  await mkdir(join(root, "empty"));
  await expect(locateCheckpoint(join(root, "empty"))).rejects.toThrow(
    /has no weights: none of best\.safetensors/,
  );
});

describe("a Hub id", () => {
  const commit = "a".repeat(40);
  const folder = ["hub", "models--timm--deit_tiny.fb_in1k"] as const;

  test("is the model in the Hub's cache, of main or of the revision that is named", async () => {
    await write(...folder, "refs", "main");
    await writeFile(join(root, ...folder, "refs", "main"), `${commit}\n`);
    const weights = await write(...folder, "snapshots", commit, "model.safetensors");
    expect(await locateCheckpoint("timm/deit_tiny.fb_in1k")).toBe(weights);
    expect(await locateCheckpoint(`timm/deit_tiny.fb_in1k@${commit}`)).toBe(weights);
  });

  test("that is not there is told how to come there", async () => {
    await expect(locateCheckpoint("timm/nothing")).rejects.toThrow(
      /there is no checkpoint timm\/nothing\nNor is it a model in the Hub's cache, .*hub\. Get it there \(hf download timm\/nothing\)/,
    );
    await expect(locateCheckpoint("./nothing.safetensors")).rejects.toThrow(
      /\nGive a \.safetensors, \.pth or \.onnx file/,
    );
  });

  test("has an owner and a name", () => {
    expect(["facebook/deit-base", "a/b@v1.0"].every(isHubId)).toBe(true);
    expect(["photo", "a/b/c", "./a/b", "../b", "/a"].some(isHubId)).toBe(false);
  });
});

test("the cache is where the Hub's own programs have it", () => {
  expect(hubCacheFolder({ HF_HUB_CACHE: "/a" })).toBe("/a");
  expect(hubCacheFolder({ HF_HOME: "/b" })).toBe(join("/b", "hub"));
  expect(hubCacheFolder({ XDG_CACHE_HOME: "/c" })).toBe(join("/c", "huggingface", "hub"));
  expect(hubCacheFolder({})).toMatch(/\.cache.huggingface.hub$/);
});
