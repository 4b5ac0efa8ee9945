/** Cases of matrix products and of what is made of several operations: normalisation, softmax, attention, MLP. */
import type { Operands, Value } from "../../../src/graph/graph.ts";
import * as ops from "../../../src/graph/ops.ts";
import { type Build, type CaseInput, type OpCase, floats, gelu, opCase, others, values } from "./op-case.ts";

function matmulCases(): OpCase[] {
  const all: OpCase[] = [];
  for (const transA of [false, true]) {
    for (const transB of [false, true]) {
      const name = `${transA ? "Aᵀ" : "A"}·${transB ? "Bᵀ" : "B"}`;
      const plain = (x: Value, trans: boolean): Value => (trans ? ops.transpose(x) : x);
      const a = (...batch: number[]): CaseInput => floats([...batch, ...(transA ? [4, 2] : [2, 4])]);
      const b = (...batch: number[]): CaseInput => others([...batch, ...(transB ? [3, 4] : [4, 3])]);
      const product = ([x, y]: Operands<Value>): Value => ops.matmul(plain(x, transA), plain(y, transB));
      all.push(
        opCase("matmul", name, [a(), b()], ([x, y]) => ops.matmul(x, y, { transA, transB }), {
          reference: product,
        }),
        opCase(
          "matmul",
          `${name}, alpha`,
          [a(3), b(3)],
          ([x, y]) => ops.matmul(x, y, { transA, transB, alpha: 0.3 }),
          {
            reference: (x) => ops.mul(product(x), 0.3),
          },
        ),
        opCase("matmul", `${name}, broadcast`, [a(2, 1), b(3)], ([x, y]) =>
          ops.matmul(x, y, { transA, transB }),
        ),
        opCase("matmul", `${name}, one matrix for all`, [a(3), b()], ([x, y]) =>
          ops.matmul(x, y, { transA, transB }),
        ),
        opCase("gemm", name, [a(), b()], ([x, y]) => ops.gemm(x, y, undefined, { transA, transB }), {
          reference: product,
        }),
        opCase(
          "gemm",
          `${name} + bias`,
          [a(), b(), floats([3])],
          ([x, y, c]) => ops.gemm(x, y, c, { transA, transB }),
          {
            reference: (x) => ops.add(product(x), x[2]),
          },
        ),
        opCase(
          "gemm",
          `${name}, alpha, + bias`,
          [a(), b(), floats([3])],
          ([x, y, c]) => ops.gemm(x, y, c, { transA, transB, alpha: 0.3 }),
          { reference: (x) => ops.add(ops.mul(product(x), 0.3), x[2]) },
        ),
      );
    }
  }
  const first = (x: Value): Value => ops.transpose(x, [1, 0, 2]);
  for (const [transBatchA, transBatchB] of [
    [true, false],
    [false, true],
    [true, true],
  ] as const) {
    for (const [transA, transB] of [
      [false, false],
      [false, true],
      [true, false],
    ] as const) {
      const a = floats(
        transBatchA ? [transA ? 4 : 2, 3, transA ? 2 : 4] : [3, transA ? 4 : 2, transA ? 2 : 4],
      );
      const b = others(
        transBatchB ? [transB ? 5 : 4, 3, transB ? 4 : 5] : [3, transB ? 5 : 4, transB ? 4 : 5],
      );
      const options = { transBatchA, transBatchB, transA, transB };
      const name = Object.entries(options)
        .flatMap(([key, on]) => (on ? [key] : []))
        .join(", ");
      all.push(
        opCase("matmul", name, [a, b], ([x, y]) => ops.matmul(x, y, { ...options, alpha: 0.5 }), {
          reference: ([x, y]) => {
            const left = transBatchA ? first(x) : x;
            const right = transBatchB ? first(y) : y;
            return ops.mul(
              ops.matmul(transA ? ops.transpose(left) : left, transB ? ops.transpose(right) : right),
              0.5,
            );
          },
        }),
      );
    }
  }
  return all;
}

function smallNormalize(x: Value, epsilon = 1e-6): Value {
  const centred = ops.sub(x, ops.mean(x, -1, { keepDims: true }));
  const variance = ops.mean(ops.mul(centred, centred), -1, { keepDims: true });
  return ops.div(centred, ops.sqrt(ops.add(variance, epsilon)));
}

function smallLayerNorm(x: Value, weight: Value, bias: Value, epsilon = 1e-6): Value {
  return ops.add(ops.mul(smallNormalize(x, epsilon), weight), bias);
}

/** Dropout's factors of a mask. */
function dropped(kept: Value): Value {
  return ops.mul(ops.cast(kept, "float32"), 1.25);
}

/** softmax(QKᵀ/√d)V with batch and heads in front. */
function smallAttention(q: Value, k: Value, v: Value, numHeads: number, factors?: Value): Value[] {
  const [queries = 1, batch = 1, dim = 1] = q.shape;
  const split = (x: Value): Value =>
    ops.transpose(ops.reshape(x, [x.shape[0] ?? 1, batch, numHeads, dim / numHeads]), [1, 2, 0, 3]);
  const scores = ops.mul(ops.matmul(split(q), ops.transpose(split(k))), (dim / numHeads) ** -0.5);
  const probabilities = ops.softmax(scores);
  const weights = factors === undefined ? probabilities : ops.mul(probabilities, factors);
  const attended = ops.transpose(ops.matmul(weights, split(v)), [2, 0, 1, 3]);
  return [ops.reshape(attended, [queries, batch, dim]), probabilities];
}

type Mlp = [weight1: CaseInput, bias1: CaseInput, weight2: CaseInput, bias2: CaseInput];
const mlpWeights = (bounds = {}): Mlp => [others([5, 3], bounds), floats([5]), others([2, 5]), floats([2])];
const buildMlp: Build = ([x, weight1, bias1, weight2, bias2]) =>
  ops.geluMlp(x, { weight1, bias1, weight2, bias2 });
const smallMlp: Build = ([x, weight1, bias1, weight2, bias2]) => {
  const hidden = gelu(ops.add(ops.matmul(x, ops.transpose(weight1)), bias1));
  return ops.add(ops.matmul(hidden, ops.transpose(weight2)), bias2);
};

export const composites: OpCase[] = [
  ...matmulCases(),
  opCase(
    "linear",
    "matrix",
    [floats([2, 4]), others([3, 4]), floats([3])],
    ([x, w, b]) => ops.linear(x, w, b),
    {
      reference: ([x, w, b]) => ops.add(ops.matmul(x, ops.transpose(w)), b),
    },
  ),
  opCase(
    "linear",
    "tokens",
    [floats([3, 2, 4]), others([5, 4]), floats([5])],
    ([x, w, b]) => ops.linear(x, w, b),
    {
      reference: ([x, w, b]) => ops.add(ops.matmul(x, ops.transpose(w)), b),
    },
  ),
  opCase("linear", "no bias", [floats([3, 2, 4]), others([5, 4])], ([x, w]) => ops.linear(x, w)),
  opCase("linear", "a vector", [floats([4]), others([5, 4])], ([x, w]) => ops.linear(x, w)),
  opCase("linearParts", "narrow", [floats([2, 3, 4]), floats([7, 4])], ([x, w]) => {
    const [a = x, b = x, c = x] = ops.linearParts(x, w, [2, 4, 1]);
    return ops.concat([c, ops.mul(a, 2), b], 2);
  }),
  opCase("linearParts", "wide, a part unused", [floats([2, 130]), floats([5, 130])], ([x, w]) => {
    const [a = x, , c = x] = ops.linearParts(x, w, [2, 1, 2]);
    return ops.mul(a, c);
  }),
  opCase("columnSum", "", [floats([4, 3])], ([x]) => ops.columnSum(x), { reference: ([x]) => ops.sum(x, 0) }),
  opCase("softmax", "last axis", [floats([3, 4])], ([x]) => ops.softmax(x), {
    reference: ([x]) => ops.div(ops.exp(x), ops.sum(ops.exp(x), -1, { keepDims: true })),
  }),
  opCase("softmax", "first axis", [floats([3, 2, 2])], ([x]) => ops.softmax(x, 0)),
  opCase("softmax", "far apart", [values([900, 897, -900, 1, 2, 3], [2, 3])], ([x]) => ops.softmax(x)),
  opCase("logSoftmax", "last axis", [floats([3, 4])], ([x]) => ops.logSoftmax(x), {
    reference: ([x]) => ops.log(ops.softmax(x)),
  }),
  opCase("logSoftmax", "middle axis", [floats([2, 3, 2])], ([x]) => ops.logSoftmax(x, 1)),
  opCase("logSoftmax", "far apart", [values([900, 897, -900, 1, 2, 3], [2, 3])], ([x]) => ops.logSoftmax(x)),
  opCase("normalize", "", [floats([2, 3, 5])], ([x]) => ops.normalize(x), {
    reference: ([x]) => smallNormalize(x),
  }),
  opCase("normalize", "a large epsilon", [floats([3, 4])], ([x]) => ops.normalize(x, { epsilon: 0.5 }), {
    reference: ([x]) => smallNormalize(x, 0.5),
  }),
  opCase(
    "layerNorm",
    "tokens",
    [floats([2, 3, 5]), others([5]), floats([5])],
    ([x, w, b]) => ops.layerNorm(x, w, b),
    {
      reference: ([x, w, b]) => smallLayerNorm(x, w, b),
    },
  ),
  opCase(
    "layerNorm",
    "a large epsilon",
    [floats([3, 4]), others([4]), floats([4])],
    ([x, w, b]) => ops.layerNorm(x, w, b, { epsilon: 0.5 }),
    {
      reference: ([x, w, b]) => smallLayerNorm(x, w, b, 0.5),
    },
  ),
  opCase(
    "layerNorm",
    "far from zero",
    [floats([3, 8], { low: 99, high: 101 }), others([8]), floats([8])],
    ([x, w, b]) => ops.layerNorm(x, w, b),
    {
      tolerance: 2e-4, // float32 holds 100 to 4e-6, which is 1e-5 of the deviation
    },
  ),
  opCase(
    "layerNorm",
    "a constant row",
    [values([2, 2, 2, 2, 1, 2, 3, 4], [2, 4]), others([4]), floats([4])],
    ([x, w, b]) => ops.layerNorm(x, w, b, { epsilon: 1e-2 }),
  ),
  opCase(
    "attention",
    "all tokens",
    [floats([4, 2, 6]), others([4, 2, 6]), floats([4, 2, 6], { name: "v" })],
    ([q, k, v]) => ops.attention({ q, k, v }, { numHeads: 3 }).attended,
    {
      reference: ([q, k, v]) => smallAttention(q, k, v, 3).slice(0, 1),
    },
  ),
  opCase(
    "attention",
    "some queries",
    [floats([1, 2, 4]), others([5, 2, 4]), floats([5, 2, 4])],
    ([q, k, v]) => ops.attention({ q, k, v }, { numHeads: 2 }).attended,
    {
      reference: ([q, k, v]) => smallAttention(q, k, v, 2).slice(0, 1),
    },
  ),
  opCase(
    "attention",
    "one head, one value for all three",
    [floats([3, 2, 4])],
    ([x]) => ops.attention({ q: x, k: x, v: x }, { numHeads: 1 }).attended,
  ),
  opCase(
    "attention",
    "probabilities dropped out",
    [
      floats([3, 2, 4]),
      others([5, 2, 4]),
      floats([5, 2, 4], { name: "v" }),
      values(
        Array.from({ length: 60 }, (_, i) => Number(i % 7 > 1)),
        [2, 2, 3, 5],
        "uint8",
      ),
    ],
    ([q, k, v, kept]) => ops.attention({ q, k, v }, { numHeads: 2, factors: dropped(kept) }).attended,
    {
      reference: ([q, k, v, kept]) => smallAttention(q, k, v, 2, dropped(kept)).slice(0, 1),
    },
  ),
  opCase(
    "attention",
    "probabilities",
    [floats([3, 2, 4]), others([5, 2, 4])],
    ([q, k]) => ops.attention({ q, k, v: k }, { numHeads: 2 }).probabilities,
    {
      gradient: false,
      reference: ([q, k]) => smallAttention(q, k, k, 2).slice(1),
    },
  ),
  opCase("geluMlp", "matrix", [floats([3, 3]), ...mlpWeights()], buildMlp, { reference: smallMlp }),
  opCase(
    "layerNorm",
    "forward alone",
    [floats([2, 5]), others([5]), floats([5])],
    ([x, w, b]) => ops.layerNorm(x, w, b),
    {
      gradient: false, // then it is written in another form
      reference: ([x, w, b]) => smallLayerNorm(x, w, b),
    },
  ),
  opCase("geluMlp", "forward alone", [floats([3, 3]), ...mlpWeights()], buildMlp, {
    gradient: false,
    reference: smallMlp,
  }),
  opCase("geluMlp", "tokens", [floats([2, 2, 3]), ...mlpWeights()], buildMlp, { reference: smallMlp }),
  opCase(
    "geluMlp",
    "where exp(u²) overflows",
    [floats([3, 3], { low: -30, high: 30 }), ...mlpWeights({ low: -9, high: 9 })],
    buildMlp,
    { reference: smallMlp },
  ),
];
