/** Every form of a request, every kind of refusal. */
import { writeFile } from "node:fs/promises";
import { request as rawRequest } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../../src/random.ts";
import { openClassifier } from "../../src/evaluation/classifier.ts";
import type { ModelServer } from "../../src/serve/serve.ts";
import { images } from "../../stress/formats/images.ts";
import { writeRandomModel } from "../helpers/random-model.ts";
import { CLASSES } from "../training/photos.ts";
import type { Files, Reply } from "./serving.ts";
import { ask, post, serverFiles, start } from "./serving.ts";

const JPEG = { "content-type": "image/jpeg" };
const JSON_TYPE = { "content-type": "application/json" };

let files: Files;
let server: ModelServer;
let expected: { label: string; score: number }[] = [];
const faults: unknown[] = [];

beforeAll(async () => {
  files = await serverFiles();
  const other = join(files.root, "other.safetensors");
  await writeRandomModel(other, { model: "deit_w64d4_patch4_32", numClasses: 7, seed: 3 });
  server = await start(
    [`pets=${files.model}`, `pets@2=${other}`, `other=${other}`],
    { maxBytes: 100_000 },
    { onFault: (error) => faults.push(error) },
  );
  await using classifier = await openClassifier(files.model, { device: "cpu", threads: 1 });
  expected = (await classifier.classify(files.image)).map(({ label, score }) => ({ label, score }));
});

const rounded = (answer: readonly { label: string; score: number }[]): unknown =>
  answer.map(({ label, score }) => [label, Number(score.toFixed(5))]);

function expectAnswer({ status, body }: Reply): void {
  expect(status).toBe(200);
  expect(rounded(body)).toEqual(rounded(expected));
}

function expectProblem({ status, body }: Reply, code: string, number: number): void {
  expect({ status, code: body.code }).toEqual({ status: number, code });
  expect(body.error.length).toBeGreaterThan(5);
  expect(JSON.stringify(body)).not.toMatch(/\.ts:|\.js:|node_modules|\n *at /);
}

const form = (fields: Record<string, string> = {}): FormData => {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  data.append("file", new Blob([files.image]), "a.png");
  return data;
};
const base64 = (): string => Buffer.from(files.image).toString("base64");

describe("answers as the library does", () => {
  test.each([
    ["an image's type", JPEG],
    ["bytes", { "content-type": "application/octet-stream" }],
    ["curl's type", { "content-type": "application/x-www-form-urlencoded" }],
  ])("to %s", async (_, headers) => {
    expectAnswer(await post(`${server.url}/models/pets/versions/1`, files.image, headers));
  });
  test("to bytes without a type, as fetch sends them", async () => {
    expectAnswer(await post(`${server.url}/models/pets/versions/1`, files.image));
  });
  test("to a form", async () => {
    expectAnswer(await post(`${server.url}/models/pets/versions/1`, form()));
  });
  test("to JSON with base64, and with a data: URL", async () => {
    const url = `${server.url}/models/pets/versions/1`;
    expectAnswer(await post(url, JSON.stringify({ inputs: base64() }), JSON_TYPE));
    const inputs = `data:image/png;base64,${base64()}`;
    expectAnswer(await post(url, JSON.stringify({ inputs, parameters: {} }), JSON_TYPE));
  });
});

describe("parameters", () => {
  const top = 2;
  test.each([
    [
      "in the address",
      async () => post(`${server.url}/models/pets/versions/1?top_k=${top}`, files.image, JPEG),
    ],
    ["in a form", async () => post(`${server.url}/models/pets/versions/1`, form({ top_k: String(top) }))],
    [
      "as JSON in a form",
      async () => post(`${server.url}/models/pets/versions/1`, form({ parameters: `{"top_k": ${top}}` })),
    ],
    [
      "in JSON",
      async () =>
        post(
          `${server.url}/models/pets/versions/1`,
          JSON.stringify({ inputs: base64(), parameters: { top_k: top } }),
          JSON_TYPE,
        ),
    ],
  ])("%s", async (_, send) => {
    const { body } = await send();
    expect(rounded(body)).toEqual(rounded(expected.slice(0, top)));
  });
  test("sigmoid and none are of the same logits as softmax", async () => {
    const url = `${server.url}/models/pets/versions/1?function_to_apply=`;
    const scores = async (name: string): Promise<number[]> =>
      (await post(url + name, files.image, JPEG)).body.map(({ score }: { score: number }) => score);
    const logits = await scores("none");
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    const near = (a: readonly number[]): number[] => a.map((value) => Number(value.toFixed(5)));
    expect(near(await scores("softmax"))).toEqual(near(logits.map((logit) => Math.exp(logit) / total)));
    expect(near(await scores("sigmoid"))).toEqual(near(logits.map((logit) => 1 / (1 + Math.exp(-logit)))));
  });
  test.each(["top_k=0", "top_k=x", "function_to_apply=max", "topk=3"])("refuses %s", async (query) => {
    expectProblem(await post(`${server.url}/?${query}`, files.image, JPEG), "serve/request", 400);
  });
});

describe("models", () => {
  test("the newest version is asked, and the first model at /", async () => {
    const newest = await post(`${server.url}/models/pets`, files.image, JPEG);
    expect(newest.headers.get("x-model-version")).toBe("2");
    expect(newest.body).toHaveLength(5);
    const root = await post(`${server.url}/`, files.image, JPEG);
    expect([root.headers.get("x-model"), root.headers.get("x-model-version")]).toEqual(["pets", "2"]);
    expect((await post(`${server.url}/models/other?top_k=9`, files.image, JPEG)).body).toHaveLength(7);
  });
  test("are listed and described", async () => {
    const { body } = await ask(`${server.url}/models`);
    expect(body.models).toHaveLength(3);
    expect(body.models[0]).toMatchObject({ name: "pets", version: 1, state: "ready", inputSize: [16, 16] });
    expect((await ask(`${server.url}/models/pets/versions/1`)).body.labels).toEqual(CLASSES);
    expect(JSON.stringify(body)).not.toContain(files.root);
  });
  test.each(["/models/dog", "/models/pets/versions/3", "/models/..%2f..%2fetc%2fpasswd"])(
    "no %s",
    async (path) => {
      expectProblem(await post(server.url + path, files.image, JPEG), "serve/unknown-model", 404);
    },
  );
});

describe("refuses", () => {
  test.each([
    ["another type", "x", { "content-type": "text/plain" }, "serve/media-type", 415],
    ["no image", "hello", JPEG, "data/broken-image", 400],
    ["broken JSON", "{", JSON_TYPE, "serve/request", 400],
    ["JSON without inputs", "{}", JSON_TYPE, "serve/request", 400],
    ["an address", '{"inputs":"https://example.org/a.jpg"}', JSON_TYPE, "serve/request", 400],
    ["what is not base64", '{"inputs":"?!"}', JSON_TYPE, "serve/request", 400],
    ["other parameters", '{"inputs":"aGk=","parameters":{"x":1}}', JSON_TYPE, "serve/request", 400],
    ["a prototype", '{"inputs":"aGk=","__proto__":{"x":1}}', JSON_TYPE, "serve/request", 400],
    ["a form that is none", "x", { "content-type": "multipart/form-data" }, "serve/request", 400],
    ["too many bytes", "x".repeat(100_001), JPEG, "serve/too-large", 413],
    ["too much JSON", `{"inputs":"${"x".repeat(200_000)}"}`, JSON_TYPE, "serve/too-large", 413],
  ] as const)("%s", async (_, body, headers, code, status) => {
    expectProblem(await post(`${server.url}/`, body, headers), code, status);
  });
  test("an empty request", async () => {
    expectProblem(await ask(`${server.url}/`, { method: "POST" }), "serve/request", 400);
    expectProblem(await post(`${server.url}/`, "", JPEG), "serve/request", 400);
  });
  test("a large file in a form, two files, a form without one", async () => {
    const large = new FormData();
    large.append("file", new Blob([new Uint8Array(100_001)]), "a.png");
    expectProblem(await post(`${server.url}/`, large), "serve/too-large", 413);
    const two = form();
    two.append("file", new Blob([files.image]), "b.png");
    expectProblem(await post(`${server.url}/`, two), "serve/request", 400);
    const none = new FormData();
    none.append("top_k", "1");
    expectProblem(await post(`${server.url}/`, none), "serve/request", 400);
  });
  test("an image of more pixels than are decoded, before it is decoded", async () => {
    const bomb = await sharp(files.image).png().toBuffer();
    bomb.writeUInt32BE(20_000, 16); // its width
    bomb.writeUInt32BE(20_000, 20);
    bomb.writeUInt32BE(crc32(bomb.subarray(12, 29)), 29);
    expectProblem(await post(`${server.url}/`, new Uint8Array(bomb), JPEG), "data/image-too-large", 413);
  });
  test.each([
    ["GET", "/", "serve/method", 405],
    ["PUT", "/models/pets", "serve/method", 405],
    ["POST", "/metrics", "serve/method", 405],
    ["GET", "/nothing", "serve/unknown-path", 404],
    ["GET", "/models/pets/../../x", "serve/unknown-path", 404],
  ])("%s %s", async (method, path, code, status) => {
    expectProblem(await ask(server.url + path, { method }), code, status);
  });
  test("what is not HTTP, with words", async () => {
    const { port } = new URL(server.url);
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), "127.0.0.1", () => socket.write("GARBAGE\r\n\r\n"));
      let all = "";
      socket
        .on("data", (part) => (all += String(part)))
        .on("end", () => resolve(all))
        .on("error", reject);
    });
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).toContain('"code":"serve/request"');
  });
});

/** `fetch` does not let a Host be set. */
async function withHeaders(url: string, headers: Record<string, string>): Promise<Reply> {
  return new Promise((resolve, reject) => {
    rawRequest(url, { headers }, (response) => {
      let text = "";
      response.on("data", (part) => (text += String(part)));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: new Headers(), body: JSON.parse(text) }),
      );
    })
      .on("error", reject)
      .end();
  });
}

describe("who may ask", () => {
  test.each(["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]"])(
    "not for Host %s",
    async (host) => expectProblem(await withHeaders(`${server.url}/models`, { host }), "serve/host", 403),
  );
  test.each(["localhost", "127.0.0.1:1", "[::1]:8000", "LOCALHOST"])("for Host %s", async (host) => {
    expect((await withHeaders(`${server.url}/models`, { host })).status).toBe(200);
  });
  test.each(["https://evil.example", "null", "http://localhost:1"])("not pages of %s", async (origin) => {
    expectProblem(await ask(`${server.url}/models`, { headers: { origin } }), "serve/origin", 403);
  });
  test("named hosts and pages, which browsers are told of", async () => {
    const [allowHosts, allowOrigins] = [["api.example.org"], ["https://app.example.org"]];
    const { url } = await start([`pets=${files.model}`], { allowHosts, allowOrigins });
    expect((await withHeaders(`${url}/models`, { host: "api.example.org" })).status).toBe(200);
    const headers = { origin: "https://app.example.org" };
    const reply = await ask(`${url}/models`, { headers });
    expect(reply.headers.get("access-control-allow-origin")).toBe("https://app.example.org");
    const asked = {
      ...headers,
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type",
    };
    const preflight = await ask(`${url}/models/pets`, { method: "OPTIONS", headers: asked });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-headers")).toContain("content-type");
  });
  test("the token, and only for what is not a probe", async () => {
    const token = "0123456789abcdef";
    const { url } = await start([`pets=${files.model}`], { token });
    expectProblem(await ask(`${url}/models`), "serve/token", 401);
    expectProblem(await ask(`${url}/metrics`), "serve/token", 401);
    expectProblem(
      await ask(`${url}/models`, { headers: { authorization: "Bearer wrong" } }),
      "serve/token",
      401,
    );
    expectProblem(await post(`${url}/`, files.image, JPEG), "serve/token", 401);
    expect((await ask(`${url}/models`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
    expect((await ask(`${url}/healthz`)).status).toBe(200);
    expect((await ask(`${url}/readyz`)).status).toBe(200);
  });
  test.each([
    [{ host: "0.0.0.0" }, "serve/token-needed"],
    [{ token: "short" }, "options/value"],
    [{ allowOrigins: ["app.example.org"] }, "options/value"],
    [{ host: "203.0.113.7", token: "0123456789abcdef" }, "serve/listen"],
    [{ models: ["a=x.onnx", "a=y.onnx"] }, "serve/names"],
    [{ models: ["a b=x.onnx"] }, "serve/names"],
  ])("does not start with %j", async (options, code) => {
    await expect(start([`pets=${files.model}`], options)).rejects.toMatchObject({ code });
  });
  test("does not start at a port that is taken", async () => {
    const port = Number(new URL(server.url).port);
    await expect(start([`pets=${files.model}`], { port })).rejects.toMatchObject({ code: "serve/listen" });
  });
});

test("health, metrics and the OpenAPI document", async () => {
  expect((await ask(`${server.url}/healthz`)).body).toEqual({ status: "ok" });
  expect((await ask(`${server.url}/readyz`)).body).toEqual({ status: "ready" });
  await post(`${server.url}/models/other`, files.image, JPEG);
  const metrics = await ask(`${server.url}/metrics`);
  expect(metrics.headers.get("content-type")).toContain("text/plain");
  expect(metrics.body).toMatch(/^deit_images_total\{model="other",version="1"\} [1-9]/m);
  expect(metrics.body).toMatch(/^deit_requests_total\{route="\/models\/:name",status="200"\} [1-9]/m);
  expect(metrics.body).toContain("process_resident_memory_bytes");
  const { body: document } = await ask(`${server.url}/openapi.json`);
  expect(document.openapi).toBe("3.1.0");
  const { app } = { app: Object.keys(document.paths) };
  for (const path of app) {
    const own = path.replace("{name}", "pets").replace("{version}", "1");
    for (const method of Object.keys(document.paths[path])) {
      const { status } = await ask(server.url + own, { method: method.toUpperCase() });
      expect([method, path, status === 404 || status === 405]).toEqual([method, path, false]);
    }
  }
  const refs = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(
    ([, name = ""]) => name,
  );
  expect(refs.filter((name) => !(name in document.components.schemas))).toEqual([]);
});

test("damaged images are answered in words, whatever is wrong with them", { timeout: 120_000 }, async () => {
  const before = faults.length;
  const random = createRandom(11, "uploads");
  const counts = new Map<number, number>();
  for (const { bytes, damage } of await images())
    for (let i = 0; i < 25; i++) {
      const reply = await post(`${server.url}/`, new Uint8Array(damage(bytes, random)), JPEG);
      counts.set(reply.status, (counts.get(reply.status) ?? 0) + 1);
      if (reply.status === 200) expect(reply.body).toHaveLength(5);
      else {
        expect([400, 413, 415]).toContain(reply.status);
        expectProblem(reply, reply.body.code, reply.status);
      }
    }
  expect([...counts.values()].reduce((sum, count) => sum + count)).toBe(300);
  expect(counts.get(400)).toBeGreaterThan(50);
  expect(faults.slice(before)).toEqual([]);
  expectAnswer(await post(`${server.url}/models/pets/versions/1`, files.image, JPEG));
});

test("files that are not images are said once, with a model that does not load", async () => {
  const broken = join(files.root, "broken.safetensors");
  await writeFile(broken, "no weights");
  await expect(start([`a=${broken}`])).rejects.toMatchObject({
    code: expect.stringMatching(/^checkpoint\//),
  });
});
