/**
 * PyTorch's own files (.pth, .pt, .bin) since 1.6: a ZIP archive of records that are stored as they are, one of them a
 * pickle that describes the tensors, the others their numbers. The pickle is read (pickle.ts), nothing is run; tensors are
 * read from their places when they are asked for. Node only.
 */
import type { FileHandle } from "node:fs/promises";
import { FormatError } from "../errors.ts";
import { readPickle } from "./pickle.ts";
import { type Pickled, PickledTensor } from "./pickled-values.ts";
import type { Tensor, TensorDType } from "./safetensors.ts";
import { toFloat32 } from "./safetensors.ts";
import { DTYPE_BYTES, MAX_NAME_BYTES, MAX_TENSORS } from "./safetensors-header.ts";
import type { TensorFile } from "./tensor-source.ts";
import type { ZipEntry } from "./zip-entries.ts";
import { readZipEntries } from "./zip-entries.ts";

/** What training keeps beside the weights: as large, and never theirs. */
const NOT_WEIGHTS = /^(?:optim|opt$|lr_sched|sched|scaler|loss_scaler|amp|rng|loops$|hyper_parameters)/i;
/** State dicts lie two or three deep. */
const MOST_DEEP = 8;

const DTYPES: Readonly<Record<string, TensorDType>> = {
  FloatStorage: "F32",
  DoubleStorage: "F64",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
};

/** A pickle of tensors is small: their numbers lie elsewhere. */
const LARGEST_PICKLE = 64 * 1024 * 1024;
/** Tensors may share numbers (tied weights, an average at its start), but not many times the file. */
const MOST_SHARED = 4;

/**
 * Opens such a file. Tensors in dicts of dicts are named by all keys: `model_ema.blocks.0.norm1.weight`.
 * @throws FormatError for anything else, and for a pickle that wants more than tensors
 */
export async function openTorchFile(handle: FileHandle, path: string): Promise<TensorFile> {
  const entries = await readZipEntries(handle, path);
  const pickle = [...entries.values()].find(({ name }) => /^(?:[^/]+\/)?data\.pkl$/.test(name));
  if (pickle === undefined) {
    throw new FormatError(path, "is a ZIP archive without data.pkl", {
      code: "checkpoint/foreign-file",
      hint: "A file of torch.save was expected; unpack an archive of something else first.",
    });
  }
  const root = pickle.name.slice(0, -"data.pkl".length);
  if (entries.has(`${root}constants.pkl`)) {
    throw new FormatError(path, "is a TorchScript model, whose code would have to be run", {
      code: "checkpoint/unsupported",
      hint: "Save its weights: torch.save(torch.jit.load(…).state_dict(), …), or export it to ONNX.",
    });
  }
  const order = entries.get(`${root}byteorder`);
  if (
    order !== undefined &&
    new TextDecoder().decode(await order.read(0, Math.min(16, order.size))) === "big"
  )
    throw new FormatError(path, "was written on a big-endian machine", {
      code: "checkpoint/unsupported",
      hint: "Save it again on another.",
    });
  if (pickle.size > LARGEST_PICKLE)
    throw new FormatError(path, `describes its tensors in ${pickle.size} bytes, more than any checkpoint`, {
      code: "checkpoint/damaged",
    });
  const { value } = readPickle(await pickle.read(0, pickle.size), { file: path });
  const tensors = tensorsOf(value, path);
  const { size } = await handle.stat();
  checkTotal(tensors, { path, size });
  const infos = new Map<string, { dtype: TensorDType; shape: readonly number[] }>();
  for (const [name, tensor] of tensors)
    infos.set(name, { dtype: dtypeOf(tensor, path), shape: tensor.shape });
  const read = async (name: string): Promise<Tensor> => {
    const tensor = tensors.get(name);
    if (tensor === undefined)
      throw new FormatError(path, `has no tensor ${JSON.stringify(name)}`, { code: "checkpoint/no-tensor" });
    const entry = entries.get(`${root}data/${tensor.storage.key}`);
    if (entry === undefined)
      throw new FormatError(path, `lacks the record data/${tensor.storage.key} of ${JSON.stringify(name)}`, {
        code: "checkpoint/damaged",
      });
    return readTensor(tensor, { entry, dtype: dtypeOf(tensor, path), path, name });
  };
  return {
    path,
    metadata: {},
    tensors: infos,
    read,
    readFloat32: async (name) => {
      const tensor = await read(name);
      return { shape: tensor.shape, data: toFloat32(tensor) };
    },
    close: async () => handle.close(),
    [Symbol.asyncDispose]: async () => handle.close(),
  };
}

/** Many tensors of one record would be many times the file in memory. */
function checkTotal(
  tensors: ReadonlyMap<string, PickledTensor>,
  { path, size }: { path: string; size: number },
): void {
  let total = 0;
  for (const { storage, shape } of tensors.values())
    total += shape.reduce((product, dim) => product * dim, DTYPE_BYTES[DTYPES[storage.type] ?? "U8"]);
  if (total <= MOST_SHARED * size + 1024 * 1024) return;
  throw unlike(path, `has ${size} bytes, and tensors of ${total}: many share the same numbers`);
}

function dtypeOf({ storage: { type } }: PickledTensor, path: string): TensorDType {
  const dtype = DTYPES[type];
  if (dtype !== undefined) return dtype;
  throw new FormatError(path, `has a tensor of ${type.slice(0, 40)}`, {
    code: "checkpoint/unsupported",
    hint: `Numbers of ${Object.keys(DTYPES).join(", ")} are read: convert it with .float() before saving.`,
  });
}

/** The tensors in what was saved, by all keys that lead to them; each dict is looked into once. */
function tensorsOf(value: Pickled, path: string): Map<string, PickledTensor> {
  const tensors = new Map<string, PickledTensor>();
  const seen = new Set<Pickled>();
  const collect = (
    dict: Map<Pickled, Pickled>,
    { prefix, depth }: { prefix: string; depth: number },
  ): void => {
    if (depth > MOST_DEEP || seen.has(dict)) return;
    seen.add(dict);
    for (const [key, item] of dict) {
      if (typeof key !== "string") continue;
      const name = prefix + key;
      if (item instanceof Map && !(depth === 0 && NOT_WEIGHTS.test(key)))
        collect(item, { prefix: `${name}.`, depth: depth + 1 });
      if (!(item instanceof PickledTensor)) continue;
      if (name.length > MAX_NAME_BYTES) throw unlike(path, `has a name of ${name.length} characters`);
      if (tensors.has(name)) throw unlike(path, `has two tensors called ${shortened(name)}`);
      if (tensors.size >= MAX_TENSORS) throw unlike(path, `has more than ${MAX_TENSORS} tensors`);
      checkTensor(item, { path, name });
      tensors.set(name, item);
    }
  };
  if (value instanceof Map) collect(value, { prefix: "", depth: 0 });
  if (tensors.size > 0) return tensors;
  const keys = value instanceof Map ? [...value.keys()].slice(0, 8).map(keyName).join(", ") : "";
  throw new FormatError(path, `has no state dict${keys === "" ? "" : `; its keys are ${keys}`}`, {
    code: "checkpoint/no-tensors",
    hint: "Save one: torch.save(model.state_dict(), …).",
  });
}

/** A key for a message: of text and numbers alone, as others may be of any size. */
function keyName(key: Pickled): string {
  if (typeof key === "string") return key.slice(0, 40);
  return typeof key === "number" || typeof key === "boolean" ? String(key) : "…";
}

const shortened = (name: string): string => JSON.stringify(name.slice(0, 80));

/** More or larger than anything that a checkpoint holds. */
function unlike(path: string, message: string): FormatError {
  return new FormatError(path, message, {
    code: "checkpoint/damaged",
    hint: "It is damaged, or no checkpoint of tensors.",
  });
}

/** Rows, columns, … must lie within the storage. */
function checkTensor(
  { storage, offset, shape, strides }: PickledTensor,
  { path, name }: { path: string; name: string },
): void {
  const empty = shape.includes(0);
  const last = offset + shape.reduce((sum, size, axis) => sum + (size - 1) * (strides[axis] ?? 0), 0);
  const elements = shape.reduce((product, size) => product * size, 1);
  // a stride of 0 would make much of little
  const fits = empty || (Number.isSafeInteger(last) && last < storage.length && elements <= storage.length);
  if (fits) return;
  throw new FormatError(
    path,
    `says that ${JSON.stringify(name.slice(0, 80))} is [${shape.join(", ")}] in a storage of ${storage.length} elements`,
    {
      code: "checkpoint/damaged",
      hint: "It is damaged; get it again. Expanded tensors have to be saved as .contiguous().",
    },
  );
}

async function readTensor(
  { storage, offset, shape, strides }: PickledTensor,
  { entry, dtype, path, name }: { entry: ZipEntry; dtype: TensorDType; path: string; name: string },
): Promise<Tensor> {
  const bytes = DTYPE_BYTES[dtype];
  if (storage.length * bytes !== entry.size) {
    throw new FormatError(
      path,
      `has ${entry.size} bytes for ${JSON.stringify(name.slice(0, 80))}, where ${storage.length * bytes} belong`,
      { code: "checkpoint/damaged", hint: "It is damaged; get it again." },
    );
  }
  const elements = shape.reduce((product, size) => product * size, 1);
  if (elements === 0) return { dtype, shape, data: new Uint8Array() };
  const extent = shape.reduce((sum, size, axis) => sum + (size - 1) * (strides[axis] ?? 0), 1);
  const source = await entry.read(offset * bytes, extent * bytes);
  if (isContiguous(shape, strides)) return { dtype, shape, data: source };
  // transposed and sliced tensors: element by element
  const data = new Uint8Array(elements * bytes);
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < elements; to++) {
    for (let b = 0; b < bytes; b++) data[to * bytes + b] = source[from * bytes + b] as number;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const [at = 0, size = 1, stride = 0] = [index[axis], shape[axis], strides[axis]];
      index[axis] = at + 1;
      from += stride;
      if (at + 1 < size) break;
      from -= size * stride;
      index[axis] = 0;
    }
  }
  return { dtype, shape, data };
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] ?? 1;
    if (size !== 1 && strides[axis] !== expected) return false;
    expected *= size;
  }
  return true;
}
