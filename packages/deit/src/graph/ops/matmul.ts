/** Matrix products: `matmul` (batched, operands transposed or scaled as attributes) and `gemm` (with a bias). */
import { ShapeError } from "../../errors.ts";
import type { OpDefinition, Tensor64, Value } from "../graph.ts";
import { apply, at, constant, createNode, isCpu } from "../graph.ts";
import { broadcastShapes, dimAt, sameShape, sizeOf, stridesOf } from "../shape.ts";
import { broadcastData, gatherData, reshape, sum, sumTo } from "./broadcast.ts";
import { add, full, mul } from "./elementwise.ts";
import { concat, split, transpose } from "./layout.ts";

export interface MatmulOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  /** The operand's rows stand before its batch axes, [M, …batch, K]: tokens-first activations, read as they lie. */
  readonly transBatchA?: boolean;
  readonly transBatchB?: boolean;
  /** Factor of the product. */
  readonly alpha?: number;
}

type MatmulAttributes = Required<MatmulOptions> & Readonly<Record<string, unknown>>;

/** [rows, columns] of an operand as it enters the product. */
function sides(shape: readonly number[], trans: boolean): readonly [number, number] {
  const [rows, columns] = [dimAt(shape, -2), dimAt(shape, -1)];
  return trans ? [columns, rows] : [rows, columns];
}

/** [M, …batch, K] → […batch, M, K]: the permutation, and its inverse. */
function rowsLast(rank: number): number[] {
  return [...Array.from({ length: rank - 2 }, (_, i) => i + 1), 0, rank - 1];
}
function rowsFirst(rank: number): number[] {
  return [rank - 2, ...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1];
}
function batchFirst(shape: readonly number[], transBatch: boolean): readonly number[] {
  return transBatch ? rowsLast(shape.length).map((axis) => dimAt(shape, axis)) : shape;
}

const matmulOp: OpDefinition<MatmulAttributes> = {
  name: "matmul",
  infer: ([a, b], { transA, transB, transBatchA, transBatchB }) => {
    if (a.shape.length < 2 || b.shape.length < 2 || a.dtype !== b.dtype) {
      throw new ShapeError(
        "matmul",
        [a.shape, b.shape],
        `two matrices of one dtype, not ${a.dtype} and ${b.dtype}`,
      );
    }
    const left = batchFirst(a.shape, transBatchA);
    const right = batchFirst(b.shape, transBatchB);
    const [m, k] = sides(left, transA);
    const [k2, n] = sides(right, transB);
    if (k !== k2) {
      throw new ShapeError("matmul", [a.shape, b.shape], `equal inner dimensions, not ${k} and ${k2}`);
    }
    return [
      {
        dtype: a.dtype,
        shape: [
          ...broadcastShapes("matmul", left.slice(0, -2), right.slice(0, -2), [a.shape, b.shape]),
          m,
          n,
        ],
      },
    ];
  },
  terms: ([a], { transA, transBatchA }) => sides(batchFirst(a.shape, transBatchA), transA)[1],
  gradient: ({ inputs: [a, b], grad, attributes: { transA, transB, transBatchA, transBatchB, alpha } }) => {
    const left = transBatchA ? transpose(a, rowsLast(a.shape.length)) : a;
    const right = transBatchB ? transpose(b, rowsLast(b.shape.length)) : b;
    const byLeft = sumTo(
      transA
        ? matmul(right, grad, { transA: transB, transB: true, alpha })
        : matmul(grad, right, { transB: !transB, alpha }),
      left.shape,
    );
    const byRight = sumTo(
      transB
        ? matmul(grad, left, { transA: true, transB: transA, alpha })
        : matmul(left, grad, { transA: !transA, alpha }),
      right.shape,
    );
    return [
      transBatchA ? transpose(byLeft, rowsFirst(a.shape.length)) : byLeft,
      transBatchB ? transpose(byRight, rowsFirst(b.shape.length)) : byRight,
    ];
  },
  evaluate: ([a, b], attributes, types) => {
    const { transBatchA, transBatchB } = attributes;
    const moved = (x: Tensor64, transBatch: boolean): Tensor64 => {
      const strides = stridesOf(x.shape);
      const shape = batchFirst(x.shape, transBatch);
      return transBatch
        ? {
            shape,
            data: gatherData(
              x.data,
              shape,
              rowsLast(shape.length).map((axis) => dimAt(strides, axis)),
            ),
          }
        : x;
    };
    return [multiply(moved(a, transBatchA), moved(b, transBatchB), attributes, types[0]?.shape ?? [])];
  },
  onnx: (_, attributes) => {
    if (isPlain(attributes)) return { type: "MatMul" };
    const { alpha, transA, transB, transBatchA, transBatchB } = attributes;
    return {
      type: "FusedMatMul",
      domain: "com.microsoft",
      attributes: {
        alpha: { float: alpha },
        transA: Number(transA),
        transB: Number(transB),
        transBatchA: Number(transBatchA),
        transBatchB: Number(transBatchB),
      },
    };
  },
  // FusedMatMul exists on the CPU alone.
  lower: ([a, b], attributes, target) => {
    if (isCpu(target) || isPlain(attributes)) return undefined;
    const { alpha, transA, transB, transBatchA, transBatchB } = attributes;
    const plain = (x: Value, trans: boolean, transBatch: boolean): Value => {
      const moved = transBatch ? transpose(x, rowsLast(x.shape.length)) : x;
      return trans ? transpose(moved) : moved;
    };
    const left = plain(a, transA, transBatchA);
    return [matmul(alpha === 1 ? left : mul(left, alpha), plain(b, transB, transBatchB))];
  },
};

function isPlain({ transA, transB, transBatchA, transBatchB, alpha }: MatmulAttributes): boolean {
  return !transA && !transB && !transBatchA && !transBatchB && alpha === 1;
}

/**
 * alpha · A·B over the last two axes, leading axes broadcast. a: […, M, K] (or […, K, M] with transA),
 * b: […, K, N] (or […, N, K] with transB) → […, M, N].
 */
export function matmul(
  a: Value,
  b: Value,
  { transA = false, transB = false, transBatchA = false, transBatchB = false, alpha = 1 }: MatmulOptions = {},
): Value {
  return apply(matmulOp, [a, b], { transA, transB, transBatchA, transBatchB, alpha });
}

export interface GemmOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  /** Factor of the product; the bias is added as it is. */
  readonly alpha?: number;
}

const gemmOp: OpDefinition<Required<GemmOptions> & Readonly<Record<string, unknown>>> = {
  name: "gemm",
  infer: ([a, b, ...bias], { transA, transB }) => {
    const c = bias.at(0);
    if (a.shape.length !== 2 || b.shape.length !== 2 || a.dtype !== b.dtype) {
      throw new ShapeError(
        "gemm",
        [a.shape, b.shape],
        `two matrices of one dtype, not ${a.dtype} and ${b.dtype}`,
      );
    }
    const [m, k] = sides(a.shape, transA);
    const [k2, n] = sides(b.shape, transB);
    if (k !== k2)
      throw new ShapeError("gemm", [a.shape, b.shape], `equal inner dimensions, not ${k} and ${k2}`);
    if (c !== undefined && (c.shape.length !== 1 || c.shape[0] !== n)) {
      throw new ShapeError("gemm", [a.shape, b.shape, c.shape], `a bias of [${n}]`);
    }
    return [{ dtype: a.dtype, shape: [m, n] }];
  },
  terms: ([a], { transA }) => sides(a.shape, transA)[1],
  gradient: ({ inputs: [a, b, ...bias], grad, attributes: { transA, transB, alpha } }) => [
    transA
      ? gemm(b, grad, undefined, { transA: transB, transB: true, alpha })
      : gemm(grad, b, undefined, { transB: !transB, alpha }),
    transB
      ? gemm(grad, a, undefined, { transA: true, transB: transA, alpha })
      : gemm(a, grad, undefined, { transA: !transA, alpha }),
    ...(bias.at(0) ? [columnSum(grad)] : []),
  ],
  evaluate: ([a, b, ...bias], attributes, types) => {
    const shape = types[0]?.shape ?? [];
    const product = multiply(a, b, attributes, shape);
    const c = bias.at(0);
    if (c === undefined) return [product];
    const added = broadcastData(c.data, c.shape, shape);
    return [product.map((x, i) => x + (added[i] ?? Number.NaN))];
  },
  onnx: (_, { transA, transB, alpha }) => ({
    type: "Gemm",
    attributes: { transA: Number(transA), transB: Number(transB), alpha: { float: alpha } },
  }),
  lower: ([a, b, ...bias], { transA, transB, alpha }, target) => {
    if (!isCpu(target)) return undefined;
    const c = bias.at(0);
    // Gemm reads its result once more to add a bias; adding it afterwards is a little faster.
    if (c !== undefined) return [add(gemm(a, b, undefined, { transA, transB, alpha }), c)];
    return transA && !transB && dimAt(a.shape, 0) >= LONG_PRODUCT ? [longProduct(a, b, alpha)] : undefined;
  },
};

/** Rows from which on Aᵀ·B is faster with an operand transposed first. */
const LONG_PRODUCT = 256;

/** Aᵀ·B over many rows, the gradient of a weight: the narrower operand is transposed, the other read as it lies. */
function longProduct(a: Value, b: Value, alpha: number): Value {
  if (dimAt(a.shape, 1) < dimAt(b.shape, 1)) return gemm(hiddenTranspose(a), b, undefined, { alpha });
  return hiddenTranspose(gemm(hiddenTranspose(b), a, undefined, { alpha }));
}

/** The transpose of a matrix, as one of a batch: ONNX Runtime would fold a plain one back into Gemm's slow transA. */
function hiddenTranspose(x: Value): Value {
  const [rows = 1, columns = 1] = x.shape;
  return reshape(transpose(reshape(x, [1, rows, columns]), [0, 2, 1]), [columns, rows]);
}

/** alpha · A·B + bias for matrices. a: [M, K] ([K, M] with transA), b: [K, N] ([N, K] with transB), bias: [N] → [M, N]. */
export function gemm(
  a: Value,
  b: Value,
  bias?: Value,
  { transA = false, transB = false, alpha = 1 }: GemmOptions = {},
): Value {
  return apply(gemmOp, bias === undefined ? [a, b] : [a, b, bias], { transA, transB, alpha });
}

/**
 * x: [..., D_in], weight: [D_out, D_in] (PyTorch's layout), bias: [D_out] → [..., D_out]. One product over all
 * leading axes.
 */
export function linear(x: Value, weight: Value, bias?: Value): Value {
  const features = dimAt(x.shape, -1);
  if (weight.shape.length !== 2 || weight.shape[1] !== features) {
    throw new ShapeError("linear", [x.shape, weight.shape], `a weight of [out, ${features}]`);
  }
  const rows = reshape(x, [sizeOf(x.shape.slice(0, -1)), features]);
  return reshape(gemm(rows, weight, bias, { transB: true }), [
    ...x.shape.slice(0, -1),
    dimAt(weight.shape, 0),
  ]);
}

/** Features from which on the gradients of several products are computed as one (measured: 64 no, 192 yes). */
const WIDE = 128;

const linearPartsOp: OpDefinition<{ sizes: readonly number[] }> = {
  name: "linearParts",
  infer: ([x, weight], { sizes }) => {
    const features = dimAt(x.shape, -1);
    const outFeatures = sizes.reduce((total, size) => total + size, 0);
    if (x.shape.length !== 2 || !sameShape(weight.shape, [outFeatures, features])) {
      throw new ShapeError(
        "linearParts",
        [x.shape, weight.shape],
        `a weight of [${outFeatures}, ${features}]`,
      );
    }
    return sizes.map((size) => ({ dtype: x.dtype, shape: [dimAt(x.shape, 0), size] }));
  },
  // Forward, separate products leave nothing to cut up. Backward, one product over all parts is faster, once it is
  // wide enough to pay for joining them.
  lower: ([x, weight], { sizes }) =>
    split(weight, sizes, 0).map((part) => gemm(x, part, undefined, { transB: true })),
  gradient: ({ inputs: [x, weight], outputs, grads, attributes: { sizes } }) => {
    const byParts = sizes.map((_, i) => grads[i] ?? full(at(outputs, i).shape, 0));
    if (dimAt(x.shape, 1) >= WIDE) {
      const byAll = concat(byParts, 1);
      return [gemm(byAll, weight), gemm(byAll, x, undefined, { transA: true })];
    }
    const weights = split(weight, sizes, 0);
    const byX = byParts.map((byPart, i) => gemm(byPart, at(weights, i)));
    const byWeight = byParts.map((byPart) => gemm(byPart, x, undefined, { transA: true }));
    return [byX.reduce((total, part) => add(total, part)), concat(byWeight, 0)];
  },
};

/** x·Wᵀ cut into parts of the given sizes: x [..., in], weight [Σ sizes, in] → one value [..., size] for each. */
export function linearParts(x: Value, weight: Value, sizes: readonly number[]): Value[] {
  const features = dimAt(x.shape, -1);
  const rows = reshape(x, [sizeOf(x.shape) / features, features]);
  const { outputs } = createNode(linearPartsOp, [rows, weight], { sizes });
  return outputs.map((part, i) => reshape(part, x.shape.with(-1, at(sizes, i))));
}

const columnSumOp: OpDefinition<Readonly<Record<string, never>>> = {
  name: "columnSum",
  infer: ([x]) => [{ dtype: x.dtype, shape: x.shape.slice(1) }],
  gradient: ({ inputs: [x], grad }) => [matmul(ones([dimAt(x.shape, 0), 1]), reshape(grad, [1, -1]))],
  // On the CPU a product with a row of ones is faster than ReduceSum over the first axis.
  lower: ([x], _, target) => {
    if (!isCpu(target)) return [sum(x, 0)];
    return [reshape(matmul(ones([1, dimAt(x.shape, 0)]), x), [dimAt(x.shape, 1)])];
  },
};

/** Column sums, [M, N] → [N]: the gradient of a bias. */
export function columnSum(x: Value): Value {
  if (x.shape.length !== 2) throw new ShapeError("columnSum", [x.shape], "a matrix");
  return apply(columnSumOp, [x], {});
}

function ones(shape: readonly number[]): Value {
  return constant(new Float32Array(sizeOf(shape)).fill(1), shape);
}

function multiply(
  a: Tensor64,
  b: Tensor64,
  { transA, transB, alpha }: { transA: boolean; transB: boolean; alpha: number },
  shape: readonly number[],
): Float64Array {
  const [m, k] = sides(a.shape, transA);
  const [, n] = sides(b.shape, transB);
  const batch = shape.slice(0, -2);
  const left = broadcastData(a.data, a.shape, [...batch, ...a.shape.slice(-2)]);
  const right = broadcastData(b.data, b.shape, [...batch, ...b.shape.slice(-2)]);
  const result = new Float64Array(sizeOf(shape));
  const [strideI, strideL] = transA ? [1, m] : [k, 1];
  const [strideR, strideJ] = transB ? [1, k] : [n, 1];
  for (let matrix = 0; matrix < sizeOf(batch); matrix++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let total = 0;
        for (let l = 0; l < k; l++) {
          total +=
            (left[matrix * m * k + i * strideI + l * strideL] ?? 0) *
            (right[matrix * k * n + l * strideR + j * strideJ] ?? 0);
        }
        result[(matrix * m + i) * n + j] = alpha * total;
      }
    }
  }
  return result;
}
