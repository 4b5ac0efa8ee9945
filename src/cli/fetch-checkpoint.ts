/** Checkpoints that are named by a Hub id or an address: fetched in sight, before the work that needs them. */
import { showDownloads } from "./download-view.ts";

/** Makes sure that a checkpoint is on this machine. Files and folders are; others are found there by the library afterwards. */
export async function fetchCheckpoint(given: string): Promise<void> {
  const { locateCheckpoint } = await import("../evaluation/locate-checkpoint.ts");
  await showDownloads("weights", (hooks) => locateCheckpoint(given, hooks));
}
