/** A server with small models of random weights, for one test file. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { ModelServer, ServeHooks, ServeOptions } from "../../src/serve/serve.ts";
import { startServer } from "../../src/serve/serve.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writeRandomModel } from "../helpers/random-model.ts";
import { CLASSES, writePhotos } from "../training/photos.ts";

export interface Files {
  readonly root: string;
  readonly photos: string;
  /** Of a model with three classes. */
  readonly model: string;
  /** The bytes of an image. */
  readonly image: Uint8Array<ArrayBuffer>;
}

export async function serverFiles(): Promise<Files> {
  const root = await temporaryFolder();
  const photos = await writePhotos(join(root, "photos"), { perClass: 4 });
  const model = join(root, "one.safetensors");
  await writeRandomModel(model, { model: "deit_w64d4_distilled_patch4_32", classes: CLASSES });
  return { root, photos, model, image: new Uint8Array(await readFile(join(photos, "disc/0.png"))) };
}

const started: ModelServer[] = [];
afterAll(async () => {
  await Promise.all(started.map(async (server) => server.close()));
});

export async function start(
  models: readonly string[],
  options: Partial<ServeOptions> = {},
  hooks: ServeHooks = {},
): Promise<ModelServer> {
  const server = await startServer(
    {
      models,
      host: "127.0.0.1",
      port: 0,
      token: undefined,
      allowHosts: [],
      allowOrigins: [],
      maxBatch: 4,
      maxQueue: 64,
      maxBytes: 1_000_000,
      timeout: 30,
      log: false,
      device: "cpu",
      threads: 1,
      workers: 1,
      ...options,
    },
    hooks,
  );
  started.push(server);
  return server;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- what a server answers is looked at by each test
  readonly body: any;
}

export async function ask(url: string, init: RequestInit = {}): Promise<Reply> {
  const response = await fetch(url, init);
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") ?? false;
  const body: unknown = isJson ? JSON.parse(text) : text;
  return { status: response.status, headers: response.headers, body };
}

export const post = async (
  url: string,
  body: BodyInit,
  headers: Record<string, string> = {},
): Promise<Reply> => ask(url, { method: "POST", body, headers });
