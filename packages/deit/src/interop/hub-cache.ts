/**
 * Ids of models on the Hugging Face Hub, and those that are on this machine already: its cache is one for all programs,
 * Python's among them. Nothing is downloaded here (hub-download.ts).
 * Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { firstIn, isWhole, MODEL_WEIGHTS } from "../formats/model-folder.ts";

export interface HubId {
  /** `owner/name`. */
  readonly repository: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** `owner/name` or `owner/name@revision`; with `hf-hub:` in front, as timm has it, it can be nothing else. */
const HUB_ID = /^(?:hf-hub:)?([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?$/;

/** What is named by `owner/name@revision` (default: main); undefined for anything else. */
export function parseHubId(text: string): HubId | undefined {
  const [, repository, revision = "main"] = HUB_ID.exec(text) ?? [];
  const parts = [...(repository?.split("/") ?? []), ...revision.split("/")];
  if (repository === undefined || parts.some((part) => part === "" || part.startsWith("."))) return undefined;
  return { repository, revision };
}

/** The Hub's cache, from the places where its own programs look: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, ~/.cache. */
export function hubCacheFolder(env: Environment = process.env): string {
  return env["HF_HUB_CACHE"] ?? env["HUGGINGFACE_HUB_CACHE"] ?? join(hubHome(env), "hub");
}

/** Where the Hub's programs keep what is theirs: cache and token. */
export function hubHome({ HF_HOME, XDG_CACHE_HOME }: Environment): string {
  return HF_HOME ?? join(XDG_CACHE_HOME ?? join(homedir(), ".cache"), "huggingface");
}

/** `owner/name` of the repository that a file of the cache belongs to; undefined for other files. */
export function repositoryOf(path: string): string | undefined {
  const [, owner, name] = /[/\\]models--([\w.-]+?)--([\w.-]+)[/\\]snapshots[/\\]/.exec(path) ?? [];
  return owner === undefined || name === undefined ? undefined : `${owner}/${name}`;
}

/** The folder of a repository in the cache. */
export function cachedRepository({ repository }: HubId): string {
  return join(hubCacheFolder(), `models--${repository.replace("/", "--")}`);
}

/** The folder with a model's files; undefined when it is not there. */
async function cachedSnapshot(id: HubId): Promise<string | undefined> {
  const folder = cachedRepository(id);
  const commit = await readFile(join(folder, "refs", id.revision), "utf8").catch(() => id.revision);
  const snapshot = join(folder, "snapshots", commit.trim());
  return (await stat(snapshot).catch(() => undefined))?.isDirectory() ? snapshot : undefined;
}

/** The file of a model's weights; undefined while any of them is not there. */
export async function cachedWeights(id: HubId): Promise<string | undefined> {
  const snapshot = await cachedSnapshot(id);
  const weights = snapshot && (await firstIn(snapshot, MODEL_WEIGHTS));
  return weights !== undefined && (await isWhole(weights)) ? weights : undefined;
}
