/**
 * Weights of any format, by what the file holds rather than what it is called: safetensors, the index of a sharded set of
 * them, a file of torch.save. Names are the file's own (key-maps.ts makes them timm's). Node only.
 */
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DataError, FormatError } from "../errors.ts";
import { foreignFile } from "./describe-unknown-file.ts";
import { openSafetensors } from "./safetensors-file.ts";
import { readShardIndex } from "./shard-index.ts";
import type { TensorFile, TensorInfo } from "./tensor-source.ts";
import { openTorchFile } from "./torch-file.ts";

export interface OpenTensorFileOptions {
  /** Whether it may be the index of a sharded set. */
  readonly sharded?: boolean;
}

/** Enough to tell formats apart. */
const HEAD_BYTES = 64;

/** @throws FormatError for a file of none of these formats; DataError when it cannot be read */
export async function openTensorFile(path: string, options: OpenTensorFileOptions = {}): Promise<TensorFile> {
  const { handle, head } = await openForReading(path);
  let keep = false;
  try {
    const isSafetensors = head[8] === 0x7b; // the header's "{", after its length
    const at = (...bytes: number[]): boolean => !isSafetensors && bytes.every((byte, i) => head[i] === byte);
    if (at(0x50, 0x4b, 0x03, 0x04) || at(0x50, 0x4b, 0x05, 0x06)) {
      const file = await openTorchFile(handle, path);
      keep = true; // it reads from the handle until it is closed
      return file;
    }
    const foreign = foreignFile(head);
    if (foreign !== undefined)
      throw new FormatError(path, foreign.what, { code: "checkpoint/foreign-file", hint: foreign.hint });
    if (at(0x7b) && options.sharded !== false) return await openSharded(path);
    return await openSafetensors(path);
  } finally {
    if (!keep) await handle.close();
  }
}

async function openForReading(path: string): Promise<{ handle: FileHandle; head: Uint8Array }> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, "r");
    const stats = await handle.stat();
    if (stats.isFile()) {
      const head = new Uint8Array(HEAD_BYTES);
      const { bytesRead } = await handle.read(head, 0, head.length, 0);
      return { handle, head: head.subarray(0, bytesRead) };
    }
  } catch (cause) {
    await handle?.close();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError(path, `cannot open ${path}: ${reason}`, {
      code: "checkpoint/unreadable",
      hint: "Check the path and its permissions.",
      cause,
    });
  }
  await handle.close();
  throw new DataError(path, `${path} is not a file`, {
    code: "checkpoint/unreadable",
    hint: "Give the path of the weights themselves.",
  });
}

/** The tensors of `model.safetensors.index.json`, from the files beside it. */
async function openSharded(path: string): Promise<TensorFile> {
  const map = await readShardIndex(path);
  const shards = new Map<string, TensorFile>();
  const close = async (): Promise<void> => {
    await Promise.all([...shards.values()].map(async (shard) => shard.close()));
  };
  try {
    for (const name of new Set(map.values())) shards.set(name, await openShard(join(dirname(path), name)));
    const shardOf = (tensor: string): TensorFile => {
      const shard = shards.get(map.get(tensor) ?? "");
      if (shard?.tensors.has(tensor)) return shard;
      throw new FormatError(
        path,
        `says that ${JSON.stringify(tensor.slice(0, 80))} is in ${map.get(tensor) ?? "no file"}, which does not contain it`,
        { code: "checkpoint/damaged", hint: "A shard is of another model, or damaged: get them again." },
      );
    };
    const tensors = new Map<string, TensorInfo>();
    for (const tensor of map.keys()) {
      const info = shardOf(tensor).tensors.get(tensor);
      if (info !== undefined) tensors.set(tensor, info);
    }
    return {
      path,
      metadata: {},
      tensors,
      read: async (tensor) => shardOf(tensor).read(tensor),
      readFloat32: async (tensor) => shardOf(tensor).readFloat32(tensor),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** One of a set's files; an index among them would lead on without end. */
async function openShard(path: string): Promise<TensorFile> {
  return path.endsWith(".safetensors") ? openSafetensors(path) : openTensorFile(path, { sharded: false });
}
