/** state.safetensors on disk, Node only; what is in it is run-state.ts. */
import { openSafetensors, readCheckpoint } from "../formats/safetensors-file.ts";
import type { RunState, StateHeader } from "./run-state.ts";
import { decodeHeader, decodeState } from "./run-state.ts";

/**
 * Reads the small part of a state file.
 * @throws FormatError when it is damaged or no state file
 */
export async function readStateHeader(path: string): Promise<StateHeader> {
  await using file = await openSafetensors(path);
  return decodeHeader(path, file.metadata);
}

/** Reads a state file whole. @throws FormatError when it is damaged or no state file */
export async function readState(path: string): Promise<RunState> {
  return decodeState(path, await readCheckpoint(path));
}
