/**
 * Weights by address, such as DeiT's own: fetched into the user's cache folder once, and checked by the hash that their
 * name holds, as torch.hub names files (name-<first digits of the SHA-256>.pth).
 */
import { createHash } from "node:crypto";
import { mkdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ConfigError, DataError } from "../../errors.ts";
import { cacheFailure, cacheFolder } from "./cache-folder.ts";
import type { Checksum, ProgressListener } from "./download-file.ts";
import { download, matches, networkAdvice } from "./download-file.ts";
import { withLock } from "../lock.ts";

export interface PullWeightsOptions {
  /** The folder that holds `checkpoints/`; default the user's cache folder. */
  readonly cacheDir?: string | undefined;
  /** Looks into weights that were fetched and have no hash, before they get their name; throws for what is none. */
  readonly check?: ((part: string) => Promise<void>) | undefined;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

const WEIGHTS = /^[\w.-]+\.(?:pth|pt|bin|safetensors|onnx)$/;
/** As torch.hub finds it. */
const HASH = /-([0-9a-f]{8,64})\.\w+$/;

export function isAddress(given: string): boolean {
  return /^https?:\/\//i.test(given);
}

/** Where weights of this address lie once they were fetched. @throws ConfigError for an address of something else */
export function pulledWeightsFile(url: string, cacheDir: string = cacheFolder()): string {
  const name = nameOf(url);
  // names with a hash are as good as an address; others are not
  const own = HASH.test(name) ? "" : createHash("sha256").update(url).digest("hex").slice(0, 12);
  return join(cacheDir, "checkpoints", own, name);
}

function nameOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const name = parsed?.pathname.split("/").at(-1) ?? "";
  if (WEIGHTS.test(name)) return name;
  const [, id] = /^\/([\w.-]+\/[\w.-]+)/.exec(parsed?.pathname ?? "") ?? [];
  throw new ConfigError("checkpoint", `${url} is not the URL of a weights file`, {
    code: "options/value",
    hint:
      parsed?.hostname === "huggingface.co" && id !== undefined
        ? `Give the model's id, ${id}, or the address of one file: …/resolve/main/model.safetensors.`
        : "Expected a URL that ends in .safetensors, .pth, .pt, .bin or .onnx.",
  });
}

/** Files whose hash was found right in this process. */
const checked = new Set<string>();

/**
 * Makes sure that weights are in the cache folder; returns their file. One whose hash is not that of its name is removed.
 * @throws ConfigError for an address of something else; DataError: no network, no such file, wrong hash, no space
 */
export async function pullWeights(
  url: string,
  { cacheDir = cacheFolder(), check, onProgress, signal }: PullWeightsOptions = {},
): Promise<string> {
  const file = pulledWeightsFile(url, cacheDir);
  const [, digest] = HASH.exec(file) ?? [];
  const checksum = digest === undefined ? undefined : ({ algorithm: "sha256", digest } as const);
  if (await isSound(file, checksum)) return file;
  try {
    await mkdir(dirname(file), { recursive: true });
    await withLock(
      `${file}.lock`,
      async () => {
        if (await isSound(file, checksum)) return; // another process was faster
        await rm(file, { force: true });
        await download({
          url,
          file,
          checksum,
          check,
          onProgress,
          signal,
          advice: (status) => advice(status, file),
        });
        if (checksum !== undefined) checked.add(file);
      },
      {
        signal,
        onWait: () =>
          onProgress?.({ what: `waiting for another download of ${url}`, done: 0, total: undefined }),
      },
    );
    return file;
  } catch (cause) {
    throw cacheFailure(cause, { folder: cacheDir, variable: "DEIT_CACHE" }) ?? cause;
  }
}

/** Whether the file is there, and is what its name says. */
async function isSound(file: string, checksum: Checksum | undefined): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) return false;
  if (!found.isFile())
    throw new DataError(file, `${file} is not a file`, {
      code: "download/damaged",
      hint: "Remove it from the cache folder.",
    });
  if (checksum === undefined || checked.has(file)) return true;
  const sound = await matches(file, checksum);
  if (sound) checked.add(file);
  return sound;
}

function advice(status: number | undefined, file: string): string {
  if (status === 404 || status === 403) return "Check the URL: there is no such file, or it is not public.";
  return `${networkAdvice()}\nOr download the file by other means and save it as ${file}`;
}
