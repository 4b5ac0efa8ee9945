/** How the weights of a run's best.safetensors were chosen, read from its folder. */
import type { Selection } from "../../evaluation/metrics/share.ts";
import { selectionOf } from "./best-epoch.ts";
import { readRun } from "./run-folder.ts";
import { readRecord } from "./run-record.ts";

/** Undefined for a run that kept no record. @throws FormatError, DeitError for no run */
export async function readSelection(run: string): Promise<Selection | undefined> {
  const record = await readRecord(run);
  if (record === undefined) return undefined;
  const { log } = await readRun(run);
  return selectionOf(log, { rule: record.selection, heldOut: record.images.validation });
}
