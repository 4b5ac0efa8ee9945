/**
 * An open file of tensors as everything that reads weights sees it, whatever the format on disk: names, types and
 * shapes at once, data when asked for. Free of Node; safetensors-file.ts and tensor-file.ts open them.
 */
import type { FloatTensor, Tensor, TensorDType } from "./safetensors.ts";

/** Type and shape of a stored tensor. */
export interface TensorInfo {
  readonly dtype: TensorDType;
  readonly shape: readonly number[];
}

/** Close it, or declare it with `await using`. */
export interface TensorFile extends AsyncDisposable {
  /** How messages name the file. */
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** What was done to get them that its reader should know, a sentence each. */
  readonly notes?: readonly string[];
  /** The tensor's raw bytes, in memory of their own. Throws FormatError when the file has no such tensor. */
  read(name: string): Promise<Tensor>;
  /** The tensor as float32. */
  readFloat32(name: string): Promise<FloatTensor>;
  close(): Promise<void>;
}
