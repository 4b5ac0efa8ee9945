/** Small programs for the tests of the runtime. */

import { input } from "../../src/graph/graph.ts";
import type { Target } from "../../src/graph/graph.ts";
import { add, mean, mul, sub } from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import type { Program } from "../../src/graph/program.ts";

/** w ← w + x; returns the mean of the new w. */
export function accumulate(target: Target, length: number): Program {
  const w = input("w", "float32", [length]);
  const next = add(w, input("x", "float32", [length]));
  return compile({ name: "accumulate", target, outputs: { average: mean(next, 0) }, state: { w: next } });
}

/** w ← w − rate · m, m ← 0.5 · m + x: two vectors at once, rate is a scalar feed. */
export function momentum(target: Target, length: number): Program {
  const w = input("w", "float32", [length]);
  const m = input("m", "float32", [length]);
  const nextM = add(mul(m, 0.5), input("x", "float32", [length]));
  const nextW = sub(w, mul(nextM, input("rate", "float32", [])));
  return compile({
    name: "momentum",
    target,
    outputs: { average: mean(nextW, 0) },
    state: { w: nextW, m: nextM },
  });
}

/** Reads w and returns w · x. */
export function scale(target: Target, length: number): Program {
  const w = input("w", "float32", [length]);
  const product = mul(w, input("x", "float32", [length]));
  return compile({ name: "scale", target, outputs: { product }, state: { w: null } });
}

/** No state: x + x. */
export function double(target: Target, shape: readonly number[]): Program {
  const x = input("x", "float32", shape);
  return compile({ name: "double", target, outputs: { y: add(x, x) } });
}
