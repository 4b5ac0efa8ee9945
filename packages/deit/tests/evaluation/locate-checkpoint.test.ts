/** What people may call a checkpoint, and the file that it means. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openCheckpoint } from "../../src/evaluation/checkpoints/checkpoint.ts";
import { locateCheckpoint } from "../../src/evaluation/checkpoints/locate-checkpoint.ts";
import { hubCacheFolder, parseHubId } from "../../src/interop/hub-cache.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writeRandomModel } from "../helpers/random-model.ts";

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

test("a run's best weights are taken without a word, its last ones with one when there are averaged ones", async () => {
  const model = { model: "deit_w64d4_patch4_32", classes: ["cat", "dog"] };
  const at = (name: string): string => join(root, "averaged", name);
  await mkdir(at(""), { recursive: true });
  await writeRandomModel(at("last.safetensors"), { ...model, extra: { weights: "trained" } });
  await writeRandomModel(at("ema.safetensors"), { ...model, extra: { weights: "averaged" } });
  const notes = async (): Promise<string> => {
    await using checkpoint = await openCheckpoint(at(""));
    return checkpoint.notes.join("\n");
  };
  expect(await notes()).toMatch(/used: last\.safetensors, the trained weights \(--weights ema/);
  await writeRandomModel(at("best.safetensors"), { ...model, extra: { weights: "averaged" } });
  expect(await notes()).toBe("");
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

  test("is told from a path: the name of a file, something in a folder that is here", async () => {
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    await expect(locateCheckpoint("timm/nothing")).rejects.toThrow(
      /HF_HUB_OFFLINE does not allow to download it/,
    );
    for (const path of ["./nothing", "timm/nothing.safetensors", "packages/nothing", "a/b/c"])
      await expect(locateCheckpoint(path)).rejects.toThrow(
        /^there is no checkpoint .*\nGive a \.safetensors/,
      );
    await expect(locateCheckpoint("hf-hub:packages/nothing")).rejects.toThrow(/HF_HUB_OFFLINE/);
  });

  test("has an owner and a name, and perhaps a revision", () => {
    expect(parseHubId("facebook/deit-base")).toEqual({ repository: "facebook/deit-base", revision: "main" });
    expect(parseHubId("hf-hub:a/b@refs/pr/1")).toEqual({ repository: "a/b", revision: "refs/pr/1" });
    for (const text of ["photo", "a/b/c", "./a/b", "../b", "/a", "a/..", "a/b@../../x", "a/b@", "a/b@x//y"])
      expect(parseHubId(text)).toBeUndefined();
  });
});

test("the cache is where the Hub's own programs have it", () => {
  expect(hubCacheFolder({ HF_HUB_CACHE: "/a" })).toBe("/a");
  expect(hubCacheFolder({ HF_HOME: "/b" })).toBe(join("/b", "hub"));
  expect(hubCacheFolder({ XDG_CACHE_HOME: "/c" })).toBe(join("/c", "huggingface", "hub"));
  expect(hubCacheFolder({})).toMatch(/\.cache.huggingface.hub$/);
});
