/**
 * A Hugging Face Hub of this machine: the parts of its API that downloads use, answered as huggingface.co does (large files
 * by a redirection to a store of their own), with the misfortunes that tests want.
 */
import { createHash } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";

export interface FakeRepository {
  /** By path. Files of more than 1 kB are kept as LFS, as the Hub does with weights. */
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  readonly revisions?: readonly string[];
  /** Only for those who send this token. */
  readonly token?: string;
}

export interface FakeHub {
  readonly url: string;
  /** "GET /api/models/…", in their order. */
  readonly requests: string[];
  /** Authorization headers that reached the store, which should be none. */
  readonly leaked: string[];
  /** Ranges that the store was asked for. */
  readonly ranges: (string | undefined)[];
  /** The store's next answers to downloads end after so many bytes. */
  readonly cuts: number[];
  /** Changes what the store sends. */
  damage: ((bytes: Uint8Array) => Uint8Array) | undefined;
  /** Answers instead of the Hub, when it returns true. */
  intercept: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  close(): void;
}

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const LARGE = 1000;

export async function startHub(repositories: Readonly<Record<string, FakeRepository>>): Promise<FakeHub> {
  const hub = {
    url: "",
    requests: [] as string[],
    leaked: [] as string[],
    ranges: [] as (string | undefined)[],
    cuts: [] as number[],
    damage: undefined as FakeHub["damage"],
    intercept: undefined as FakeHub["intercept"],
    close(): void {
      for (const server of servers) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
  const servers: Server[] = [];
  const store = await listen(servers, (request, response) => {
    if (request.headers.authorization !== undefined) hub.leaked.push(request.headers.authorization);
    const { bytes } = lookUp(repositories, (request.url ?? "").slice(1));
    if (bytes === undefined) return void response.writeHead(404).end();
    hub.ranges.push(request.headers.range);
    send(request, response, hub.damage?.(bytes) ?? bytes, hub.cuts.shift());
  });
  hub.url = await listen(servers, (request, response) => {
    const url = new URL(request.url ?? "", "http://hub");
    hub.requests.push(`${request.method} ${url.pathname}`);
    if (hub.intercept?.(request, response)) return;
    answer(request, response, { url, repositories, store });
  });
  return hub;
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  {
    url,
    repositories,
    store,
  }: { url: URL; repositories: Readonly<Record<string, FakeRepository>>; store: string },
): void {
  const path = url.pathname.slice(1);
  const [, api, name = "", rest = ""] = /^(api\/models\/)?([^/]+\/[^/]+)\/(.*)$/.exec(path) ?? [];
  const repository = repositories[name];
  const refuse = (status: number, code: string): void =>
    void response
      .writeHead(status, { "x-error-code": code, "content-type": "application/json" })
      .end('{"error":"no"}');
  // the Hub does not tell strangers whether it exists
  if (repository === undefined) return refuse(401, "RepoNotFound");
  const isAllowed =
    repository.token === undefined || request.headers.authorization === `Bearer ${repository.token}`;
  const json = (value: unknown): void =>
    void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
  const [what, revision = ""] = rest.split("/").map(decodeURIComponent);
  if (![COMMIT, "main", ...(repository.revisions ?? [])].includes(revision))
    return refuse(404, "RevisionNotFound");
  if (api !== undefined && what === "revision") {
    const siblings = Object.keys(repository.files).map((rfilename) => ({ rfilename }));
    return json({
      _id: "1",
      id: name,
      sha: COMMIT,
      siblings,
      lastModified: "2024-01-01",
      gated: repository.token !== undefined,
    });
  }
  if (!isAllowed) return refuse(request.headers.authorization === undefined ? 401 : 403, "GatedRepo");
  if (api !== undefined && what === "paths-info") {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      const { paths } = JSON.parse(body) as { paths: string[] };
      json(paths.flatMap((file) => describe(file, repository.files[file])));
    });
    return;
  }
  const { bytes, isLarge, file } = lookUp(
    repositories,
    `${name}/${rest.split("/").slice(2).map(decodeURIComponent).join("/")}`,
  );
  if (bytes === undefined) return refuse(404, "EntryNotFound");
  if (isLarge) return void response.writeHead(302, { location: `${store}/${name}/${file}` }).end();
  send(request, response, bytes, undefined);
}

function bytesOf(content: Uint8Array | string): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

function lookUp(
  repositories: Readonly<Record<string, FakeRepository>>,
  path: string,
): { bytes: Uint8Array | undefined; isLarge: boolean; file: string } {
  const [owner = "", name = "", ...rest] = path.split("/");
  const file = rest.join("/");
  const content = repositories[`${owner}/${name}`]?.files[file];
  const bytes = content === undefined ? undefined : bytesOf(content);
  return { bytes, isLarge: (bytes?.length ?? 0) > LARGE, file };
}

function describe(path: string, content: Uint8Array | string | undefined): object[] {
  if (content === undefined) return [];
  const bytes = bytesOf(content);
  const oid = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const lfs = bytes.length > LARGE ? { lfs: { oid: sha256, size: bytes.length, pointerSize: 134 } } : {};
  // a pointer's own hash is not the file's
  return [{ type: "file", path, size: bytes.length, oid: bytes.length > LARGE ? COMMIT : oid, ...lfs }];
}

/** Ranges as stores answer them; `cut` ends the connection after so many bytes. */
function send(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array,
  cut: number | undefined,
): void {
  const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (start >= bytes.length && start > 0) return void response.writeHead(416).end();
  const rest = bytes.subarray(start);
  response.writeHead(start > 0 ? 206 : 200, { "content-length": rest.length });
  if (cut === undefined) return void response.end(rest);
  response.flushHeaders();
  response.write(rest.subarray(0, cut), () => setTimeout(() => response.socket?.end(), 150));
}

async function listen(servers: Server[], listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
}
