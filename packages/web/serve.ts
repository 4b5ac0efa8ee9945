/**
 * A server for the built page: static files of one folder, with the headers that threads need, on this machine alone.
 *
 *   npm run ui                                            builds the page and serves it
 *   node packages/web/serve.ts [--port N] [--as-it-is]  the last one without a build
 */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { Server } from "node:http";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";

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

const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
} as const;

const SAFETY = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Content-Security-Policy": "frame-ancestors 'none'",
} as const;

const LOOPBACK = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/;

export interface StaticServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * Serves the files of a folder on 127.0.0.1. `isolated`: with the headers of cross-origin isolation, without which the
 * page's service worker adds them.
 */
export async function serveStatic(
  folder: string,
  { port = 0, isolated = true }: { port?: number; isolated?: boolean } = {},
): Promise<StaticServer> {
  const server = createServer((request, response) => {
    const end = (status: number, text: string): void => {
      response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8", ...SAFETY }).end(text);
    };
    if (!LOOPBACK.test(request.headers.host ?? ""))
      return end(403, "This server answers for localhost alone.\n");
    if (request.method !== "GET" && request.method !== "HEAD") return end(405, "Files are read with GET.\n");
    const path = pathOf(request.url ?? "/");
    if (path === undefined) return end(404, "There is no such file.\n");
    const file = join(folder, path);
    void stat(file)
      .then((found) => {
        if (!found.isFile()) return end(404, "There is no such file.\n");
        response.writeHead(200, {
          "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
          "Content-Length": found.size,
          "Cache-Control": path.startsWith("assets") ? "public, max-age=31536000, immutable" : "no-cache",
          ...SAFETY,
          ...(isolated && ISOLATION),
        });
        if (request.method === "HEAD") return response.end();
        return createReadStream(file)
          .on("error", () => response.destroy())
          .pipe(response);
      })
      .catch(() => end(404, "There is no such file.\n"));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, "127.0.0.1", resolve);
  });
  return { url: `http://localhost:${portOf(server)}/`, [Symbol.asyncDispose]: async () => closed(server) };
}

/** The file's path below the folder; undefined for one that would leave it. */
function pathOf(url: string): string | undefined {
  try {
    const path = decodeURIComponent(new URL(url, "http://localhost").pathname);
    if (path.includes("\0")) return undefined;
    const inside = normalize(path).replace(/^[/\\]+/, "");
    if (inside === ".." || inside.startsWith(`..${sep}`)) return undefined;
    return inside === "" ? "index.html" : inside;
  } catch {
    return undefined;
  }
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf("--port");
  const port = at < 0 ? 4173 : Number(process.argv[at + 1]);
  const folder = fileURLToPath(new URL("dist", import.meta.url));
  if (!process.argv.includes("--as-it-is")) {
    const { build } = await import("vite");
    await build({ configFile: fileURLToPath(new URL("vite.config.ts", import.meta.url)), logLevel: "error" });
  }
  const { url } = await serveStatic(folder, { port });
  console.log(`${url}  (Ctrl-C ends it)`);
}
