/** state.safetensors on disk, Node only; what is in it is run-state.ts. */
import { crc32 } from "node:zlib";
import { FormatError } from "../../errors.ts";
import type { CheckpointContent } from "../../formats/safetensors.ts";
import { openSafetensors, readCheckpoint, writeCheckpoint } from "../../formats/safetensors-file.ts";
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
  const content = await readCheckpoint(path);
  const { checksum } = content.metadata;
  if (checksum !== undefined && checksum !== checksumOf(content)) {
    throw new FormatError(path, "its numbers are not those that were saved: the checksum differs", {
      code: "run/damaged-state",
      hint: "The disk, or a copy, has changed them. Put the file back from a copy, or start a new run from best.safetensors: deit finetune IMAGES --finetune RUN --output-dir NEW",
    });
  }
  return decodeState(path, content);
}

/** Replaces a state file. */
export async function writeState(path: string, content: CheckpointContent): Promise<void> {
  const { tensors, metadata } = content;
  const checked = { tensors, metadata: { ...metadata, checksum: checksumOf(content) } };
  await writeCheckpoint(path, checked, { what: "the training state" });
}

/** CRC-32 of all vectors by name: finds every damage of a few bits, and costs little beside the writing. */
function checksumOf({ tensors }: CheckpointContent): string {
  const names = [...tensors.keys()].sort();
  const sum = names.reduce((before, name) => {
    const { buffer, byteOffset, byteLength } = tensors.get(name)?.data ?? new Float32Array();
    return crc32(new Uint8Array(buffer, byteOffset, byteLength), crc32(name, before));
  }, 0);
  return sum.toString(16).padStart(8, "0");
}
