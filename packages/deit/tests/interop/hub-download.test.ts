/** Models of the Hub, downloaded into its cache from a Hub of this machine: laid out for Python, resumed, checked, refused. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, readlink, realpath, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { scanCacheDir } from "@huggingface/hub";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { locateCheckpoint } from "../../src/evaluation/checkpoints/locate-checkpoint.ts";
import { fromFloat32, serializeSafetensors } from "../../src/formats/safetensors.ts";
import { openTensorFile } from "../../src/formats/tensor-file.ts";
import { downloadModel } from "../../src/interop/hub-download.ts";
import { DataError } from "../../src/errors.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { canMountSmallDisk, mountSmallDisk } from "../formats/small-disk.ts";
import { COMMIT, startHub, type FakeHub, type FakeRepository } from "./fake-hub.ts";

const weights = (value: number, name = "w"): Uint8Array =>
  serializeSafetensors({
    tensors: new Map([[name, fromFloat32({ shape: [50, 50], data: new Float32Array(2500).fill(value) })]]),
    metadata: {},
  });
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

const TOKEN = "hf_abcdefgh";
const tiny = weights(1);
const shards = { "model-1.safetensors": weights(2, "a"), "model-2.safetensors": weights(3, "b") };
const REPOSITORIES: Record<string, FakeRepository> = {
  "timm/tiny": {
    files: {
      "README.md": "# tiny",
      "config.json": '{"architecture":"deit_tiny_patch16_224"}',
      "model.safetensors": tiny,
      "pytorch_model.bin": weights(9),
    },
    revisions: ["v1"],
  },
  "org/sharded": {
    files: {
      ...shards,
      "model.safetensors.index.json": JSON.stringify({
        weight_map: { a: "model-1.safetensors", b: "model-2.safetensors" },
      }),
      "preprocessor_config.json": "{}",
    },
  },
  "org/evil": {
    files: { "model.safetensors.index.json": JSON.stringify({ weight_map: { a: "../../x.safetensors" } }) },
  },
  "org/gone": {
    files: { "model.safetensors.index.json": JSON.stringify({ weight_map: { a: "model-1.safetensors" } }) },
  },
  "org/gated": { files: { "model.safetensors": tiny }, token: TOKEN },
  "org/other": { files: { "deit.pth": "x", "README.md": "" } },
  "org/bin": { files: { "pytorch_model.bin": weights(4) } },
};

let root = "";
let hub: FakeHub;
const cache = (...parts: string[]): string => join(root, "hub", ...parts);
beforeEach(async () => {
  root = await temporaryFolder();
  hub = await startHub(REPOSITORIES);
  for (const name of [
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_TOKEN_PATH",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HUGGINGFACE_HUB_CACHE",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
  ])
    vi.stubEnv(name, undefined);
  vi.stubEnv("HF_HOME", root);
  vi.stubEnv("HF_HUB_CACHE", cache());
  vi.stubEnv("HF_ENDPOINT", hub.url);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  hub.close();
});

async function message(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(DataError);
  return (error as DataError).message;
}

describe("a model", () => {
  test("is laid out as Python has it, with nothing but what is needed, and fetched once", async () => {
    const printed = [
      vi.spyOn(process.stdout, "write"),
      vi.spyOn(console, "debug"),
      vi.spyOn(console, "info"),
    ];
    const seen: { what: string; done: number; total: number | undefined }[] = [];
    const file = await locateCheckpoint("timm/tiny", { onProgress: (event) => seen.push(event) });
    expect(file).toBe(cache("models--timm--tiny", "snapshots", COMMIT, "model.safetensors"));
    expect(new Uint8Array(await readFile(file))).toEqual(tiny);
    expect(await readlink(file)).toBe(join("..", "..", "blobs", sha256(tiny)));
    expect(await readFile(cache("models--timm--tiny", "refs", "main"), "utf8")).toBe(COMMIT);
    expect((await readdir(join(file, ".."))).toSorted()).toEqual(["config.json", "model.safetensors"]);
    expect(await readdir(cache("models--timm--tiny", "blobs"))).toHaveLength(2); // no remains, no locks
    expect(seen.at(-1)).toEqual({
      what: "downloading timm/tiny: model.safetensors",
      done: tiny.length,
      total: tiny.length,
    });
    for (const spy of printed) expect(spy).not.toHaveBeenCalled();

    const { repos, warnings } = await scanCacheDir(cache());
    expect(warnings).toEqual([]);
    expect(repos).toMatchObject([
      { id: { name: "timm/tiny", type: "model" }, revisions: [{ commitOid: COMMIT, refs: ["main"] }] },
    ]);

    const asked = hub.requests.length;
    expect(await locateCheckpoint("timm/tiny")).toBe(file);
    expect(await locateCheckpoint(`hf-hub:timm/tiny@${COMMIT}`)).toBe(file);
    expect(hub.requests).toHaveLength(asked);
  });

  test("of another revision shares the files that are the same", async () => {
    await locateCheckpoint("timm/tiny");
    hub.ranges.length = 0;
    await locateCheckpoint("timm/tiny@v1");
    expect(hub.ranges).toEqual([]);
    expect(await readdir(cache("models--timm--tiny", "refs"))).toEqual(["main", "v1"]);
    expect(await message(locateCheckpoint("timm/tiny@v2"))).toMatch(
      /^timm\/tiny has no revision v2 on http.*\nSee http.*timm\/tiny\/commits, or leave out @v2/,
    );
  });

  test("in parts comes by its index, whole", async () => {
    const index = await locateCheckpoint("org/sharded");
    await using file = await openTensorFile(index);
    expect([...file.tensors.keys()]).toEqual(["a", "b"]);
    expect((await file.readFloat32("b")).data[7]).toBe(3);
    expect((await readdir(join(index, ".."))).toSorted()).toEqual(
      [...Object.keys(shards), "model.safetensors.index.json", "preprocessor_config.json"].toSorted(),
    );
  });

  test("in parts of which some are missing is completed", async () => {
    hub.cuts.push(...Array.from({ length: 60 }, () => 0));
    await message(locateCheckpoint("org/sharded"));
    expect(
      existsSync(cache("models--org--sharded", "snapshots", COMMIT, "model.safetensors.index.json")),
    ).toBe(true);
    hub.cuts.length = 0;
    await using file = await openTensorFile(await locateCheckpoint("org/sharded"));
    expect(file.tensors.size).toBe(2);
  });

  test("is read from what Python put there, and completed where Python wanted less", async () => {
    const snapshot = cache("models--timm--tiny", "snapshots", COMMIT);
    await mkdir(snapshot, { recursive: true });
    await mkdir(cache("models--timm--tiny", "refs"));
    await writeFile(cache("models--timm--tiny", "refs", "main"), COMMIT);
    await writeFile(join(snapshot, "config.json"), "{}");
    expect(await locateCheckpoint("timm/tiny")).toBe(join(snapshot, "model.safetensors"));
    expect(await readFile(join(snapshot, "config.json"), "utf8")).toBe("{}");
  });

  test("of .bin files alone is taken, too", async () => {
    expect(await locateCheckpoint("org/bin")).toMatch(/pytorch_model\.bin$/);
  });
});

describe("a download", () => {
  test("goes on where the connection broke", async () => {
    hub.cuts.push(3000, 3000);
    const file = await locateCheckpoint("timm/tiny");
    expect(hub.ranges).toEqual([undefined, "bytes=3000-", "bytes=6000-"]);
    expect(new Uint8Array(await readFile(file))).toEqual(tiny);
  });

  test("that was interrupted is gone on with by the next, ours or Python's", async () => {
    const controller = new AbortController();
    const onProgress = ({ what, done }: { what: string; done: number }): void => {
      if (what.endsWith("model.safetensors") && done > 0) controller.abort();
    };
    hub.cuts.push(4000);
    await expect(locateCheckpoint("timm/tiny", { signal: controller.signal, onProgress })).rejects.toThrow(
      /abort/,
    );
    const blobs = cache("models--timm--tiny", "blobs");
    const part = join(blobs, `${sha256(tiny)}.incomplete`);
    const { size } = await stat(part);
    expect(size).toBeGreaterThan(0);
    expect((await readdir(blobs)).filter((name) => name.endsWith(".lock"))).toEqual([]);
    expect(existsSync(cache("models--timm--tiny", "refs"))).toBe(false);
    hub.ranges.length = 0;
    const file = await locateCheckpoint("timm/tiny");
    expect(hub.ranges).toEqual([`bytes=${size}-`]);
    expect(await realpath(file)).toBe(await realpath(join(blobs, sha256(tiny))));
    expect(existsSync(part)).toBe(false);
  });

  test("that is damaged leaves nothing behind but an error", async () => {
    hub.damage = (bytes) => bytes.map((byte, i) => (i === 5000 ? byte ^ 1 : byte));
    expect(await message(locateCheckpoint("timm/tiny"))).toMatch(
      /model\.safetensors: the downloaded file is damaged \(its sha256 is not [0-9a-f]{64} but [0-9a-f]{64}\)\nThe download was deleted/,
    );
    expect(
      (await readdir(cache("models--timm--tiny", "blobs"))).filter((name) => name.startsWith(sha256(tiny))),
    ).toEqual([]);
    expect(existsSync(cache("models--timm--tiny", "snapshots", COMMIT, "model.safetensors"))).toBe(false);
  });

  test("that never comes whole is an error that keeps what came", async () => {
    hub.cuts.push(100, 0, 0, 0);
    expect(await message(locateCheckpoint("timm/tiny"))).toMatch(
      /resolve\/0123.*\/model\.safetensors: .*\nCheck the network and try again: the part already downloaded is kept/,
    );
    expect((await stat(cache("models--timm--tiny", "blobs", `${sha256(tiny)}.incomplete`))).size).toBe(100);
  });

  test("of one model by two at once happens once", async () => {
    const files = await Promise.all([locateCheckpoint("timm/tiny"), locateCheckpoint("timm/tiny")]);
    expect(new Set(files).size).toBe(1);
    expect(hub.ranges).toEqual([undefined]);
  });
});

describe("who asks", () => {
  test.each([
    ["HF_TOKEN", () => vi.stubEnv("HF_TOKEN", ` ${TOKEN}\n`)],
    ["HF_HOME", async () => writeFile(join(root, "token"), `${TOKEN}\n`)],
    [
      "HF_TOKEN_PATH",
      async () => {
        await writeFile(join(root, "mine"), TOKEN);
        vi.stubEnv("HF_TOKEN_PATH", join(root, "mine"));
      },
    ],
  ])("is known by %s, to the Hub alone", async (_, give) => {
    await give();
    expect(await locateCheckpoint("org/gated")).toMatch(/model\.safetensors$/);
    expect(hub.leaked).toEqual([]);
  });

  test("is told what a gated model wants", async () => {
    expect(await message(locateCheckpoint("org/gated"))).toMatch(
      /^org\/gated is only for those who agreed to its conditions \(401\)\nAgree at http.*org\/gated, then hf auth login, or set HF_TOKEN .* No token was sent\.$/,
    );
    vi.stubEnv("HF_TOKEN", "hf_wrong");
    expect(await message(locateCheckpoint("org/gated"))).toMatch(
      /\(403\)\n.*The token of HF_TOKEN was sent\.$/,
    );
  });

  test("is told of a token that is none, which goes nowhere", async () => {
    vi.stubEnv("HF_TOKEN", "secret");
    const error = await locateCheckpoint("timm/tiny").catch((cause: unknown) => String(cause));
    expect(error).toMatch(/what HF_TOKEN holds is not a token of the Hub: they begin with hf_\nFix it/);
    expect(error).not.toContain("secret");
    expect(hub.requests).toEqual([]);
  });
});

describe("what cannot be had is said with what helps:", () => {
  test("a model that does not exist", async () => {
    expect(await message(locateCheckpoint("timm/tinny"))).toMatch(
      /^timm\/tinny is not on http.*, or is private \(401\)\nCheck the spelling at http.*timm\/tinny\. If it is private/,
    );
    expect(existsSync(cache())).toBe(false);
  });

  test("offline", async () => {
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect(await message(locateCheckpoint("timm/tiny"))).toMatch(
      /^timm\/tiny is not in the Hub's cache, .*hub, and HF_HUB_OFFLINE does not allow to download it\nUnset HF_HUB_OFFLINE, or copy models--timm--tiny/,
    );
    expect(hub.requests).toEqual([]);
    vi.stubEnv("HF_HUB_OFFLINE", "0");
    const file = await locateCheckpoint("timm/tiny");
    vi.stubEnv("HF_HUB_OFFLINE", "YES");
    expect(await locateCheckpoint("timm/tiny")).toBe(file);
  });

  test("no network", async () => {
    vi.stubEnv("HF_ENDPOINT", "http://127.0.0.1:9");
    const start = performance.now();
    expect(await message(locateCheckpoint("timm/tiny"))).toMatch(
      /^timm\/tiny is not in the Hub's cache, and http:\/\/127\.0\.0\.1:9 cannot be reached \(.+\)\nCheck the network/,
    );
    expect(performance.now() - start).toBeLessThan(5000);
    vi.stubEnv("HTTPS_PROXY", "http://proxy");
    expect(await message(locateCheckpoint("timm/tiny"))).toMatch(
      /\nCheck the network\. HTTPS_PROXY is set; .*NODE_USE_ENV_PROXY=1/,
    );
  });

  test("a log-in page instead of the Hub, and a Hub in trouble", async () => {
    hub.intercept = (_, response) => (response.end("<html>Welcome to the hotel"), true);
    expect(await message(locateCheckpoint("timm/tiny"))).toMatch(
      /does not respond as the Hub does .*\nA log-in page or a proxy/,
    );
    hub.intercept = (_, response) => (response.writeHead(429).end(), true);
    expect(await message(locateCheckpoint("timm/tiny"))).toMatch(/answered 429 .*\nRate limited/);
    hub.intercept = (_, response) => (response.writeHead(503).end(), true);
    expect(await message(locateCheckpoint("timm/tiny"))).toMatch(/answered 503 .*\n.*try again later/);
    hub.intercept = (_, response) => (response.end(JSON.stringify({ sha: "../..", siblings: [] })), true);
    expect(await message(locateCheckpoint("timm/tiny"))).toMatch(/does not respond as the Hub does/);
  });

  test("weights under other names, in other places, or not there", async () => {
    expect(await message(locateCheckpoint("org/other"))).toMatch(
      /^org\/other has no weights under a usual name .*\nIt has deit\.pth: give the address of one, http.*\/org\/other\/resolve\/main\/deit\.pth/,
    );
    await expect(locateCheckpoint("org/evil")).rejects.toThrow(
      /names "\.\.\/\.\.\/x\.safetensors", which is not beside it/,
    );
    expect(await message(locateCheckpoint("org/gone"))).toMatch(
      /^org\/gone names model-1\.safetensors, which it does not have\nThe repository is incomplete/,
    );
  });

  test("a cache folder that is a file", async () => {
    await writeFile(cache(), "");
    expect(await message(locateCheckpoint("timm/tiny"))).toMatch(
      /^the cache folder .*hub cannot be written \(ENOTDIR\)\nChange its permissions, or set HF_HUB_CACHE to another folder/,
    );
  });

  test("an address that is none", async () => {
    vi.stubEnv("HF_ENDPOINT", "huggingface");
    await expect(downloadModel({ repository: "a/b", revision: "main" })).rejects.toThrow(
      /HF_ENDPOINT is "huggingface"; expected an address/,
    );
  });
});

describe.skipIf(!canMountSmallDisk())("a disk", () => {
  test("without space is told of, and what came is kept", async () => {
    const disk = mountSmallDisk({ kib: 8 });
    try {
      vi.stubEnv("HF_HUB_CACHE", disk.path);
      expect(await message(locateCheckpoint("timm/tiny"))).toMatch(
        /^there is no space left in the cache folder .*\nFree some and start .*HF_HUB_CACHE to a folder on another disk/,
      );
    } finally {
      disk.unmount();
    }
  });

  test("that cannot be written is told of", async () => {
    const { execFileSync } = await import("node:child_process");
    const disk = mountSmallDisk({ kib: 64 });
    try {
      execFileSync("mount", ["-o", "remount,ro", disk.path]);
      vi.stubEnv("HF_HUB_CACHE", disk.path);
      expect(await message(locateCheckpoint("timm/tiny"))).toMatch(
        /cannot be written.*\nChange its permissions/,
      );
    } finally {
      disk.unmount();
    }
  });
});
