/**
 * Seeded tensors, bit for bit those of tests/golden/seeded.py: a pure function of a tensor's name, so that the
 * recordings under tests/golden hold results and no weights. Not a random generator to train with.
 */

/** A tensor's values are offset + scale · u, u uniform in [-0.5, 0.5). */
export interface SeededKind {
  readonly offset: number;
  readonly scale: number;
}

/** What images are drawn with: uniform in [-2, 2), as if already normalised. */
export const seededImages: SeededKind = { offset: 0, scale: 4 };

/** Values of the tensor `name`, in PyTorch's flat order. */
export function seededTensor(name: string, length: number, kind: SeededKind): Float32Array {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  const values = new Float32Array(length);
  for (let index = 0; index < length; index++) {
    let x = (hash + Math.imul(index, 0x9e3779b9)) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    x = (x ^ (x >>> 15)) >>> 0;
    values[index] = kind.offset + kind.scale * (x / 2 ** 32 - 0.5);
  }
  return values;
}

/** How a parameter of a model of width `dim` is drawn, from its timm name and its shape. */
export function parameterKind(name: string, shape: readonly number[], dim: number): SeededKind {
  if (name.endsWith("bias")) return { offset: 0, scale: 0.2 };
  if (/(cls_token|dist_token|pos_embed)$/.test(name)) return { offset: 0, scale: 0.5 };
  if (shape.length === 1) return { offset: 1, scale: 0.5 };
  return { offset: 0, scale: Math.sqrt(12) * (0.05 * Math.sqrt(192 / dim)) };
}

/** The parameter `name` of a model of width `dim`. */
export function seededParameter(name: string, shape: readonly number[], dim: number): Float32Array {
  const length = shape.reduce((product, size) => product * size, 1);
  return seededTensor(name, length, parameterKind(name, shape, dim));
}

/** Labels of a seeded batch: (37·b + offset) mod classes. */
export function seededLabels(batchSize: number, classes: number, offset = 11): Int32Array {
  return Int32Array.from({ length: batchSize }, (_, row) => (37 * row + offset) % classes);
}

/** A tensor inside a recording. */
export interface PackedTensor {
  readonly shape: readonly number[];
  /** base64 of little-endian float32 values */
  readonly float32: string;
}

/** The values of a recorded tensor. */
export function unpack({ float32 }: PackedTensor): Float32Array {
  const bytes = Uint8Array.from(atob(float32), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}
