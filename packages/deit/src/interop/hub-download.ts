/**
 * A model of the Hugging Face Hub, downloaded into its cache as Python's programs do it: blobs/ by hash, snapshots/ by commit,
 * refs/ by name. @huggingface/hub asks the Hub and lays out the cache; the bytes come by download-file.ts, which goes on where
 * an attempt stopped and checks what came.
 */
import { mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { downloadFileToCacheDir, modelInfo, pathsInfo } from "@huggingface/hub";
import type { PathInfo } from "@huggingface/hub";
import { cacheFailure } from "../data/download/cache-folder.ts";
import type { ProgressListener } from "../data/download/download-file.ts";
import { download, explain, networkAdvice, SILENCE } from "../data/download/download-file.ts";
import { withLock } from "../data/lock.ts";
import { DataError, DeitError } from "../errors.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { isIndex, MODEL_SETTINGS, MODEL_WEIGHTS } from "../formats/model-folder.ts";
import { shardNames } from "../formats/shard-index.ts";
import type { HubAccess } from "./hub-access.ts";
import { hubAccess, hubFetch, isOffline } from "./hub-access.ts";
import type { HubId } from "./hub-cache.ts";
import { cachedRepository, hubCacheFolder } from "./hub-cache.ts";

export interface DownloadModelOptions {
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

const COMMIT = /^[0-9a-f]{40}$/;
/** What a file is called in blobs/: git's SHA-1 of it, or its SHA-256. */
const BLOB = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/**
 * Fetches weights and settings of a model, and nothing else of its repository. Returns the folder that holds them.
 * @throws DataError: offline, no network, no such model, not allowed, damaged, no weights, no space
 */
export async function downloadModel(id: HubId, options: DownloadModelOptions = {}): Promise<string> {
  const cache = { folder: hubCacheFolder(), variable: "HF_HUB_CACHE" };
  if (isOffline()) {
    throw new DataError(
      id.repository,
      `${id.repository} is not in the Hub's cache, ${cache.folder}, and HF_HUB_OFFLINE does not allow to download it`,
      {
        code: "hub/offline",
        hint: `Unset HF_HUB_OFFLINE, or copy models--${id.repository.replace("/", "--")} there from a machine that has it.`,
      },
    );
  }
  const access = await hubAccess();
  try {
    return await fetchModel({ id, access, ...options });
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw cacheFailure(cause, cache) ?? unanswered(cause, { id, access }) ?? cause;
  }
}

interface Context extends DownloadModelOptions {
  readonly id: HubId;
  readonly access: HubAccess;
}

async function fetchModel(context: Context): Promise<string> {
  const { id, access, onProgress, signal } = context;
  const { repository, revision } = id;
  onProgress?.({ what: `asking ${access.hubUrl} for ${repository}`, done: 0, total: undefined });
  const { sha, filePaths } = await modelInfo({
    name: repository,
    revision,
    additionalFields: ["sha", "filePaths"],
    hubUrl: access.hubUrl,
    fetch: hubFetch(access, id, { signal, timeout: 2 * SILENCE }),
  });
  if (typeof sha !== "string" || !COMMIT.test(sha) || !Array.isArray(filePaths))
    throw new SyntaxError("no model's description");
  const weights = MODEL_WEIGHTS.find((name) => filePaths.includes(name));
  if (weights === undefined) {
    const others = filePaths.filter((name) => /\.(?:safetensors|pth|pt|bin|onnx)$/.test(name));
    throw new DataError(
      repository,
      `${repository} has no weights under a usual name (${MODEL_WEIGHTS.join(", ")})`,
      {
        code: "hub/no-weights",
        hint:
          others.length > 0
            ? `It has ${others.slice(0, 4).join(", ")}: give the address of one, ${access.hubUrl}/${repository}/resolve/${revision}/${others[0]}.`
            : "Another model, or an export of this one, is needed.",
      },
    );
  }
  const settings = MODEL_SETTINGS.filter((name) => filePaths.includes(name));
  const snapshot = join(cachedRepository(id), "snapshots", sha);
  // weights last: where they are, all is
  if (isIndex(weights)) {
    await fetchFiles([...settings, weights], sha, context);
    const shards = await shardNames(join(snapshot, weights));
    await fetchFiles(
      shards.map((name) => join(dirname(weights), name)),
      sha,
      context,
    );
  } else await fetchFiles([...settings, weights], sha, context);
  if (revision !== sha) {
    const ref = join(cachedRepository(id), "refs", revision);
    await mkdir(dirname(ref), { recursive: true });
    await writeFileAtomic(ref, sha, { what: "the name of a revision" });
  }
  return snapshot;
}

async function fetchFiles(paths: readonly string[], sha: string, context: Context): Promise<void> {
  const { id, access, signal } = context;
  const found = await pathsInfo({
    repo: { type: "model", name: id.repository },
    paths: [...paths],
    revision: sha,
    hubUrl: access.hubUrl,
    fetch: hubFetch(access, id, { signal, timeout: 2 * SILENCE }),
  });
  for (const path of paths) {
    const info = found.find((one) => one.path === path);
    if (info === undefined) {
      throw new DataError(id.repository, `${id.repository} names ${path}, which it does not have`, {
        code: "hub/incomplete",
        hint: "The repository is incomplete: take another model, or another revision of it (owner/name@revision).",
      });
    }
    await fetchFile(info, sha, context);
  }
}

/** One file: its blob, then its name in the snapshot. */
async function fetchFile(info: PathInfo, sha: string, context: Context): Promise<void> {
  const { id, access, onProgress, signal } = context;
  const hash = info.lfs?.oid ?? info.oid ?? "";
  if (!BLOB.test(hash)) throw new SyntaxError(`no hash of ${info.path}`);
  const blob = join(cachedRepository(id), "blobs", hash);
  await mkdir(dirname(blob), { recursive: true });
  await withLock(
    `${blob}.lock`,
    async () => {
      if (await isFile(blob)) return;
      await download({
        url: `${access.hubUrl}/${id.repository}/resolve/${sha}/${info.path.split("/").map(encodeURIComponent).join("/")}`,
        label: `${id.repository}: ${info.path}`,
        file: blob,
        part: `${blob}.incomplete`,
        checksum: { algorithm: info.lfs === undefined ? "git" : "sha256", digest: hash },
        fetch: hubFetch(access, id),
        advice: () => networkAdvice(),
        onProgress,
        signal,
      });
    },
    {
      signal,
      onWait: () =>
        onProgress?.({ what: `waiting for another download of ${id.repository}`, done: 0, total: undefined }),
    },
  );
  await downloadFileToCacheDir({
    repo: { type: "model", name: id.repository },
    path: info.path,
    revision: sha,
    cacheDir: hubCacheFolder(),
    hubUrl: access.hubUrl,
    fetch: hubFetch(access, id, { signal, timeout: 2 * SILENCE }),
  });
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

/** No answer, or one that is not the Hub's (a network's log-in page, a proxy's error). */
function unanswered(cause: unknown, { id, access }: { id: HubId; access: HubAccess }): DataError | undefined {
  if (!(cause instanceof Error) || cause instanceof DeitError) return undefined;
  if (cause.name === "TimeoutError" || cause.message === "fetch failed") {
    const reason =
      cause.name === "TimeoutError" ? `no response for ${(2 * SILENCE) / 1000} s` : explain(cause);
    return new DataError(
      id.repository,
      `${id.repository} is not in the Hub's cache, and ${access.hubUrl} cannot be reached (${reason})`,
      { code: "hub/unreachable", hint: networkAdvice(), cause },
    );
  }
  const isOther = cause instanceof SyntaxError || cause.message.startsWith("malformed response");
  if (!isOther) return undefined;
  return new DataError(
    id.repository,
    `${access.hubUrl} does not respond as the Hub does (${cause.message})`,
    {
      code: "hub/bad-answer",
      hint: "A log-in page or a proxy may stand in between; or HF_ENDPOINT is wrong.",
      cause,
    },
  );
}
