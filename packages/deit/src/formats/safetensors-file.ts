/**
 * safetensors on disk, Node only: the header is read and checked first, tensors when they are asked for, so
 * that looking into a large file costs nothing; writing streams the tensors' own memory to the disk.
 */
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { DeitError, FormatError } from "../errors.ts";
import { writeFileAtomic } from "./atomic-file.ts";
import { fromFloat32, safetensorsChunks, toFloat32 } from "./safetensors.ts";
import type { CheckpointContent, FloatTensor, Safetensors, Tensor, TensorDType } from "./safetensors.ts";
import { parseHeader, readHeaderLength } from "./safetensors-header.ts";
import type { Header, TensorEntry } from "./safetensors-header.ts";

/** An open file. Close it, or declare it with `await using`. */
export interface SafetensorsFile extends AsyncDisposable {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Names in the order of their bytes, with types and shapes; nothing is read yet. */
  readonly tensors: ReadonlyMap<string, { readonly dtype: TensorDType; readonly shape: readonly number[] }>;
  /** The tensor's raw bytes, in memory of their own. Throws FormatError when the file has no such tensor. */
  read(name: string): Promise<Tensor>;
  /** The tensor as float32; F32 is read straight into the array. */
  readFloat32(name: string): Promise<FloatTensor>;
  close(): Promise<void>;
}

/**
 * Opens a file and checks its header.
 * @throws FormatError when it is not a complete, consistent safetensors file
 * @throws DeitError when it is not there or cannot be read
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const handle = await openForReading(path);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) {
      throw new DeitError(`${path} is not a file; a .safetensors file was expected.`, {
        code: "checkpoint/unreadable",
        hint: "Give the path of the checkpoint itself.",
      });
    }
    const source = { file: path, fileSize: stats.size };
    const prefix = await readExactly(handle, path, 0, Math.min(8, stats.size));
    const length = readHeaderLength(prefix, source);
    const header = parseHeader(await readExactly(handle, path, 8, length), source);
    return openedFile(path, handle, header);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function openedFile(
  path: string,
  handle: FileHandle,
  { entries, metadata, dataStart }: Header,
): SafetensorsFile {
  const find = (name: string): TensorEntry => {
    const entry = entries.get(name);
    if (entry !== undefined) return entry;
    throw new FormatError(path, `has no tensor ${JSON.stringify(name)}`, {
      code: "checkpoint/no-tensor",
      hint: `It has ${entries.size}: ${[...entries.keys()].slice(0, 5).join(", ")}${entries.size > 5 ? ", …" : ""}`,
    });
  };
  const read = async (name: string): Promise<Tensor> => {
    const { dtype, shape, begin, end } = find(name);
    return { dtype, shape, data: await readExactly(handle, path, dataStart + begin, end - begin) };
  };
  const close = (): Promise<void> => handle.close();
  return {
    path,
    metadata,
    tensors: new Map([...entries].map(([name, { dtype, shape }]) => [name, { dtype, shape }])),
    read,
    async readFloat32(name) {
      const tensor = await read(name);
      const { data } = tensor;
      const values =
        tensor.dtype === "F32"
          ? new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4)
          : toFloat32(tensor);
      return { shape: tensor.shape, data: values };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Reads a whole file, every tensor as float32. Throws FormatError, DeitError. */
export async function readCheckpoint(path: string): Promise<CheckpointContent> {
  await using file = await openSafetensors(path);
  const tensors = new Map<string, FloatTensor>();
  for (const name of file.tensors.keys()) tensors.set(name, await file.readFloat32(name));
  return { tensors, metadata: file.metadata };
}

/**
 * Writes a file atomically: the old one stays until the new one is complete.
 * @param what what is saved, for messages
 * @throws DeitError when it cannot be saved, FormatError for content that the format cannot hold
 */
export async function writeSafetensors(
  path: string,
  content: Safetensors,
  { what = "a checkpoint" }: { what?: string } = {},
): Promise<void> {
  await writeFileAtomic(path, safetensorsChunks(content), { what });
}

/** Writes float32 tensors; see {@link writeSafetensors}. */
export async function writeCheckpoint(
  path: string,
  { tensors, metadata }: CheckpointContent,
  options: { what?: string } = {},
): Promise<void> {
  const stored = new Map([...tensors].map(([name, tensor]) => [name, fromFloat32(tensor)]));
  await writeSafetensors(path, { tensors: stored, metadata }, options);
}

async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (cause) {
    const missing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    throw new DeitError(
      missing
        ? `${path} is not there.`
        : `Cannot open ${path}: ${cause instanceof Error ? cause.message : String(cause)}.`,
      {
        code: "checkpoint/unreadable",
        hint: missing ? "Check the path." : "Check the path and its permissions.",
        cause,
      },
    );
  }
}

/** One read call: Node refuses more than 2 GiB. */
const READ_BYTES = 64 * 1024 * 1024;

/** Reads `length` bytes, which the caller has checked against the file's size. */
async function readExactly(
  handle: FileHandle,
  path: string,
  position: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(
      bytes,
      done,
      Math.min(length - done, READ_BYTES),
      position + done,
    );
    if (bytesRead === 0) {
      throw new FormatError(path, `ended early: ${length - done} bytes are missing`, {
        code: "checkpoint/damaged",
        offset: position + done,
        hint: "The file changed while it was read, or is cut off. Get it again.",
      });
    }
    done += bytesRead;
  }
  return bytes;
}
