/** Weights at addresses without a hash: what is none is not kept, and parts of another file are begun anew. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { pulledWeightsFile } from "../../src/data/download/download-weights.ts";
import { locateCheckpoint } from "../../src/evaluation/checkpoints/locate-checkpoint.ts";
import { fromFloat32, serializeSafetensors } from "../../src/formats/safetensors.ts";
import { temporaryFolder } from "../data/temporary.ts";

const head = fromFloat32({ shape: [40, 50], data: new Float32Array(2000).map((_, i) => i) });
const weights = serializeSafetensors({ tensors: new Map([["head.weight", head]]), metadata: {} });
let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {};
let ranges: (string | undefined)[] = [];
let base = "";
const server = createServer((request, response) => {
  ranges.push(request.headers.range);
  answer(request, response);
});
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  base = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
});
beforeEach(async () => {
  vi.stubEnv("DEIT_CACHE", await temporaryFolder());
  ranges = [];
});
afterEach(() => vi.unstubAllEnvs());
afterAll(() => server.close());

test.each([
  ["model.safetensors", "<!doctype html><title>Log in</title>", /web page|safetensors/],
  ["model.pth", "<!doctype html><title>Log in</title>", /is a web page/],
  ["model.onnx", "<!doctype html><title>Log in</title>", /is a web page/],
  ["model.onnx", "no such file, sorry", /./],
  ["model.bin", '{"error":"no"}', /./],
  ["model.safetensors", weights.subarray(0, 3000), /./],
  ["model.pth", new Uint8Array(0), /./],
])("%s with %.20s in it is not kept", async (name, content, reason) => {
  answer = (_, response) => void response.end(content);
  const url = `${base}/${name}`;
  const failed = locateCheckpoint(url);
  await expect(failed).rejects.toMatchObject({
    code: "download/damaged",
    message: expect.stringMatching(reason),
  });
  await expect(failed).rejects.toThrow(`${url}: the downloaded file does not hold weights: `);
  await expect(failed).rejects.toThrow("The download was deleted.");
  expect(await readdir(dirname(pulledWeightsFile(url)))).toEqual([]);
  answer = (_, response) => void response.end(weights);
  if (name.endsWith(".safetensors"))
    expect(await readFile(await locateCheckpoint(url))).toEqual(Buffer.from(weights));
});

describe("a part of an earlier download", () => {
  const url = (): string => `${base}/part.safetensors`;
  async function withPart(content: Uint8Array): Promise<void> {
    const part = `${pulledWeightsFile(url())}.part`;
    await mkdir(dirname(part), { recursive: true });
    await writeFile(part, content);
  }
  const outOfRange =
    (headers: Record<string, string>) =>
    (request: IncomingMessage, response: ServerResponse): void =>
      void (request.headers.range === undefined
        ? response.end(weights)
        : response.writeHead(416, headers).end());

  test("that is longer than the file is begun anew", async () => {
    await withPart(new Uint8Array(weights.length + 5));
    answer = outOfRange({ "content-range": `bytes */${weights.length}` });
    expect(await readFile(await locateCheckpoint(url()))).toEqual(Buffer.from(weights));
    expect(ranges).toEqual([`bytes=${weights.length + 5}-`, undefined]);
  });

  test("that is as long as the file is that file", async () => {
    await withPart(weights);
    answer = outOfRange({ "content-range": `bytes */${weights.length}` });
    expect(await readFile(await locateCheckpoint(url()))).toEqual(Buffer.from(weights));
    expect(ranges).toHaveLength(1);
  });

  test("that a server refuses without saying why is begun anew", async () => {
    await withPart(weights.subarray(0, 100));
    answer = outOfRange({});
    expect(await readFile(await locateCheckpoint(url()))).toEqual(Buffer.from(weights));
  });

  test("is not joined to another place of the file", async () => {
    await withPart(weights.subarray(0, 100));
    answer = (_, response) =>
      void response
        .writeHead(206, { "content-range": `bytes 50-${weights.length - 1}/${weights.length}` })
        .end();
    await expect(locateCheckpoint(url())).rejects.toMatchObject({
      code: "download/failed",
      message: expect.stringContaining("which starts at byte 50, not 100"),
    });
  });

  test("and a server that always answers 416 end in words", async () => {
    answer = (_, response) => void response.writeHead(416).end();
    await expect(locateCheckpoint(url())).rejects.toMatchObject({
      code: "download/failed",
      message: expect.stringContaining("the server responded 416"),
    });
    await withPart(weights.subarray(0, 100));
    await expect(locateCheckpoint(url())).rejects.toMatchObject({ code: "download/failed" });
    expect(await readdir(join(dirname(pulledWeightsFile(url()))))).toEqual([]);
  });
});
