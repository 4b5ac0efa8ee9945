/** Checkpoints that are named by a Hub id or an address: fetched in sight, before the work that needs them. */
import { showDownloads } from "./views/download-view.ts";

/** What a checkpoint may be, as the help of every command says it. */
export const CHECKPOINT_KINDS =
  "a .safetensors, .pth or .onnx file, a run or model folder, a Hub id, a URL or the name of a pretrained model";

/**
 * Says at once that a run or a folder of weights is not there, before a command asks for images to measure it with. Files,
 * and what may be fetched from elsewhere, are looked for later.
 */
export async function requireCheckpoint(given: string): Promise<void> {
  const { isElsewhere, locateCheckpoint } = await import("../evaluation/checkpoints/locate-checkpoint.ts");
  if (!/\.\w+$/.test(given) && !(await isElsewhere(given))) await locateCheckpoint(given);
}

/** Makes sure that a checkpoint is on this machine. Files and folders are; others are found there by the library afterwards. */
export async function fetchCheckpoint(given: string): Promise<void> {
  const { locateCheckpoint } = await import("../evaluation/checkpoints/locate-checkpoint.ts");
  await showDownloads("weights", (hooks) => locateCheckpoint(given, hooks));
}
