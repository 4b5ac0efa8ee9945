/**
 * Models of the Hugging Face Hub that are on this machine already: its cache is one for all programs, Python's among them.
 * Nothing is downloaded here. Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** `owner/name` or `owner/name@revision`. */
const HUB_ID = /^([\w.-]+)\/([\w.-]+)(?:@([\w./-]+))?$/;

export function isHubId(text: string): boolean {
  return HUB_ID.test(text) && !text.startsWith(".");
}

/** The Hub's cache, from the places where its own programs look: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, ~/.cache. */
export function hubCacheFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = env;
  const home = HF_HOME ?? join(XDG_CACHE_HOME ?? join(homedir(), ".cache"), "huggingface");
  return HF_HUB_CACHE ?? HUGGINGFACE_HUB_CACHE ?? join(home, "hub");
}

/** The folder with a model's files, of the revision that is named (default: main); undefined when it is not there. */
export async function cachedModel(id: string): Promise<string | undefined> {
  const [, owner, name, revision = "main"] = HUB_ID.exec(id) ?? [];
  if (owner === undefined || name === undefined) return undefined;
  const folder = join(hubCacheFolder(), `models--${owner}--${name}`);
  const commit = await readFile(join(folder, "refs", revision), "utf8").catch(() => revision);
  const snapshot = join(folder, "snapshots", commit.trim());
  return (await stat(snapshot).catch(() => undefined))?.isDirectory() ? snapshot : undefined;
}
