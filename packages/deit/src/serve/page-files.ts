/** The files of a built page, with the headers that threads in a browser need. Only files of the list are read. */
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import type { FastifyInstance } from "fastify";
import { DeitError } from "../errors.ts";
import { pathOf } from "./http.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".safetensors": "application/octet-stream",
};

/** Cross-origin isolation, without which a page has one thread. */
const ISOLATION = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
} as const;

/** Serves `folder` at `/`. `isolated`: with the headers of isolation; without them the page's service worker adds them. */
export function addPageFiles(
  app: FastifyInstance,
  folder: string,
  { isolated = true }: { readonly isolated?: boolean } = {},
): void {
  let known = new Set<string>();
  const isKnown = async (path: string): Promise<boolean> => {
    if (!known.has(path)) known = await filesOf(folder); // it may have been built anew
    return known.has(path);
  };
  app.get("/*", async (request, reply) => {
    const path = (request.params as { "*": string })["*"] || "index.html";
    if (!(await isKnown(path)))
      throw new DeitError(`there is no file ${pathOf(request)}`, { code: "serve/unknown-path" });
    const file = join(folder, path);
    const { size } = await stat(file);
    void reply.headers({
      "content-type": TYPES[extname(file)] ?? "application/octet-stream",
      "content-length": size,
      "cache-control": path.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache",
      "content-security-policy": "frame-ancestors 'none'",
      ...(isolated && ISOLATION),
    });
    return reply.send(createReadStream(file));
  });
}

async function filesOf(folder: string): Promise<Set<string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return new Set(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, "/")),
  );
}
