/** Weights by address: checked by the hash in their name, fetched once, gone on with, refused. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pulledWeightsFile, pullWeights } from "../../../src/data/download/download-weights.ts";
import { PRETRAINED } from "../../../src/models/pretrained.ts";
import { temporaryFolder } from "../temporary.ts";

const bytes = Buffer.from(new Uint8Array(200_000).map((_, i) => (i * 7 + (i >> 4)) % 256));
const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 8);

let cacheDir = "";
let server: Server;
let base = "";
let requests: (string | undefined)[] = [];
let answer: (request: IncomingMessage, response: ServerResponse) => void;
beforeEach(async () => {
  cacheDir = await temporaryFolder();
  requests = [];
  answer = (_, response) => void response.end(bytes);
  server = createServer((request, response) => {
    requests.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  base = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/deit`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function message(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "no error",
    (cause: unknown) => (cause instanceof Error ? cause.message : String(cause)),
  );
}

describe("weights with a hash in their name", () => {
  it("are fetched once, into the cache folder", async () => {
    const seen: number[] = [];
    const url = `${base}/deit_tiny-${hash}.pth`;
    const file = await pullWeights(url, { cacheDir, onProgress: ({ done }) => seen.push(done) });
    expect(file).toBe(join(cacheDir, "checkpoints", `deit_tiny-${hash}.pth`));
    expect(bytes.equals(await readFile(file))).toBe(true);
    expect(seen.at(-1)).toBe(bytes.length);
    expect(await readdir(dirname(file))).toEqual([`deit_tiny-${hash}.pth`]);
    expect(await pullWeights(url, { cacheDir })).toBe(file);
    expect(requests).toHaveLength(1);
  });

  it("of another content are an error, and removed", async () => {
    const file = pulledWeightsFile(`${base}/x-00000000.pth`, cacheDir);
    expect(await message(pullWeights(`${base}/x-00000000.pth`, { cacheDir }))).toBe(
      `${base}/x-00000000.pth: the downloaded file is damaged (its sha256 is not 00000000 but ${hash})\n` +
        "The download was deleted. Retry; if the checksum fails again, the file at this address has changed.",
    );
    expect(await readdir(dirname(file))).toEqual([]);
  });

  it("that were put there by hand are used if they are right, and fetched anew if they are not", async () => {
    const url = `${base}/hand-${hash}.pth`;
    const file = pulledWeightsFile(url, cacheDir);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, bytes);
    expect(await pullWeights(url, { cacheDir })).toBe(file);
    expect(requests).toEqual([]);
    const wrong = `${base}/wrong-${hash}.pth`;
    await writeFile(pulledWeightsFile(wrong, cacheDir), "something else");
    expect(bytes.equals(await readFile(await pullWeights(wrong, { cacheDir })))).toBe(true);
    expect(requests).toHaveLength(1);
  });

  it("go on where the connection broke", async () => {
    answer = (request, response) => {
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      response.writeHead(start > 0 ? 206 : 200, { "content-length": bytes.length - start });
      if (start > 0) response.end(bytes.subarray(start));
      else response.write(bytes.subarray(0, 70_000), () => setTimeout(() => response.socket?.end(), 150));
    };
    await pullWeights(`${base}/broken-${hash}.pth`, { cacheDir });
    expect(requests).toEqual([undefined, "bytes=70000-"]);
  });
});

it("weights without a hash have a folder for their address", async () => {
  const one = await pullWeights(`${base}/one/model.safetensors?download=true`, { cacheDir });
  const two = await pullWeights(`${base}/two/model.safetensors`, { cacheDir });
  expect(one).not.toBe(two);
  expect([one, two].every((file) => file.endsWith("model.safetensors"))).toBe(true);
});

it("what cannot be had is said with what helps", async () => {
  answer = (_, response) => void response.writeHead(404).end();
  expect(await message(pullWeights(`${base}/no-${hash}.pth`, { cacheDir }))).toMatch(
    /no-.*\.pth: the server responded 404 Not Found\nCheck the URL/,
  );
  expect(await message(pullWeights(`http://127.0.0.1:9/x-${hash}.pth`, { cacheDir }))).toMatch(
    /\nCheck the network.*\nOr download the file by other means and save it as .*checkpoints\/x-/,
  );
  await writeFile(join(cacheDir, "file"), "");
  expect(await message(pullWeights(`${base}/x-${hash}.pth`, { cacheDir: join(cacheDir, "file") }))).toMatch(
    /the cache folder .*file cannot be written \(ENOTDIR\)\n.*set DEIT_CACHE/,
  );
});

it("an address of something else is refused before it is asked", async () => {
  for (const url of [`${base}/`, `${base}/page.html`, `${base}/..%2Fx.pth`, "https://", "https://x/.pth"])
    expect(await message(pullWeights(url, { cacheDir }))).toMatch(
      /is not the URL of a weights file\nExpected a URL that ends in/,
    );
  expect(await message(pullWeights("https://huggingface.co/facebook/deit-tiny", { cacheDir }))).toMatch(
    /\nGive the model's id, facebook\/deit-tiny,/,
  );
  expect(requests).toEqual([]);
});

it("DeiT's releases have the names and hashes of the reference", () => {
  expect(
    PRETRAINED.slice(0, 9).map(({ url }) => url.replace("https://dl.fbaipublicfiles.com/deit/", "")),
  ).toEqual([
    "deit_tiny_patch16_224-a1311bcf.pth",
    "deit_small_patch16_224-cd65a155.pth",
    "deit_base_patch16_224-b5f2ef4d.pth",
    "deit_tiny_distilled_patch16_224-b40b3cf7.pth",
    "deit_small_distilled_patch16_224-649709d9.pth",
    "deit_base_distilled_patch16_224-df68dfff.pth",
    "deit_base_patch16_384-8de9b5d1.pth",
    "deit_base_distilled_patch16_384-d0272ac0.pth",
    "regnety_160-a5fe301d.pth",
  ]);
  expect(PRETRAINED[3]).toMatchObject({
    hubIds: ["timm/deit_tiny_distilled_patch16_224.fb_in1k", "facebook/deit-tiny-distilled-patch16-224"],
    acc1: 74.476,
  });
  expect(PRETRAINED.map(({ url }) => pulledWeightsFile(url, "/c"))[8]).toBe(
    join("/c", "checkpoints", "regnety_160-a5fe301d.pth"),
  );
});

it("every release has a file of its own in the cache", () => {
  const files = PRETRAINED.map(({ url }) => pulledWeightsFile(url, "/c"));
  expect(new Set(files).size).toBe(PRETRAINED.length);
});
