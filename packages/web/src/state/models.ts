/** Weights to start from: the small model that comes with the page, DeiT-Ti from the Hub, or a file. Kept beside the project. */
import type { Storage } from "./storage.ts";

export interface StartingModel {
  /** safetensors */
  readonly bytes: ArrayBuffer;
  readonly name: string;
  readonly origin: "page" | "hub" | "file" | "run";
}

const WEIGHTS = "model/weights.safetensors";
const ABOUT = "model/about.json";
const STARTER = "./starter.safetensors";

/** The authors' weights on the Hub: one file, from a fixed commit or the main branch. */
export const HUB_MODELS = [
  { id: "facebook/deit-tiny-patch16-224", name: "DeiT-Ti", megabytes: 23 },
  { id: "facebook/deit-tiny-distilled-patch16-224", name: "DeiT-Ti distilled", megabytes: 24 },
] as const;

/** The one that was used last, else the one of the page. */
export async function openStartingModel(storage: Storage): Promise<StartingModel> {
  const [weights, about] = [await storage.read(WEIGHTS), await storage.read(ABOUT)];
  if (weights !== undefined && about !== undefined) {
    const { name, origin } = JSON.parse(await about.text()) as Omit<StartingModel, "bytes">;
    return { bytes: await weights.arrayBuffer(), name, origin };
  }
  return pageModel();
}

export async function pageModel(): Promise<StartingModel> {
  const response = await fetch(STARTER);
  if (!response.ok) throw new Error(`the page's own model cannot be loaded: ${response.status}`);
  return { bytes: await response.arrayBuffer(), name: "starter", origin: "page" };
}

/** From the Hub; `onProgress` gets 0 to 1. */
export async function hubModel(
  id: string,
  { onProgress, signal }: { onProgress(share: number): void; signal?: AbortSignal },
): Promise<StartingModel> {
  const response = await fetch(`https://huggingface.co/${id}/resolve/main/model.safetensors`, {
    signal: signal ?? null,
  });
  if (!response.ok || response.body === null) throw new Error(`${id}: the Hub responded ${response.status}`);
  const total = Number(response.headers.get("content-length") ?? 0);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let done = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    done += part.value.byteLength;
    if (total > 0) onProgress(done / total);
  }
  return { bytes: await new Blob(parts).arrayBuffer(), name: id.split("/").at(-1) ?? id, origin: "hub" };
}

export async function keepModel(storage: Storage, { bytes, name, origin }: StartingModel): Promise<void> {
  await storage.write(WEIGHTS, bytes);
  await storage.write(ABOUT, JSON.stringify({ name, origin }));
}

/** Short name of these very weights: features are of them. */
export async function modelKey({ bytes }: StartingModel): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
