/** A tiny training step and its answer: what a device must get right before anything larger is asked of it. */

import { gradient } from "../graph/gradient.ts";
import { input } from "../graph/graph.ts";
import type { Target, Value } from "../graph/graph.ts";
import { evaluate } from "../graph/interpreter.ts";
import { gemm, mul, reshape, sub } from "../graph/ops.ts";
import { compile } from "../graph/program.ts";
import type { Program } from "../graph/program.ts";
import { softTargetCrossEntropy } from "../nn/losses.ts";
import type { Runtime } from "../runtime/runtime.ts";

const [ROWS, WIDTH, CLASSES] = [4, 8, 3];
const LR = 0.1;
/** Largest difference from float64 that rounding explains, here. */
const TOLERANCE = 1e-4;

const weights = Float32Array.from({ length: WIDTH * CLASSES }, (_, i) => Math.sin(i));
const rows = Float32Array.from({ length: ROWS * WIDTH }, (_, i) => Math.cos(3 * i));
const targets = Float32Array.from({ length: ROWS * CLASSES }, (_, i) =>
  i % CLASSES === Math.floor(i / CLASSES) % CLASSES ? 1 : 0,
);

/** Cross-entropy of a linear classifier, and the weights after one step of gradient descent. */
function step(): { loss: Value; next: Value } {
  const weight = input("W", "float32", [WIDTH * CLASSES]);
  const logits = gemm(input("x", "float32", [ROWS, WIDTH]), reshape(weight, [WIDTH, CLASSES]));
  const loss = softTargetCrossEntropy(logits, input("t", "float32", [ROWS, CLASSES]));
  const [grad = weight] = gradient(loss, [weight]);
  return { loss, next: sub(weight, mul(grad, LR)) };
}

function program(target: Target): Program {
  const { loss, next } = step();
  return compile({ name: "trial", target, outputs: { loss }, state: { W: next } });
}

/** Runs the step on a device. Returns what is wrong with its answer, or undefined. */
export async function tryStep(runtime: Runtime): Promise<string | undefined> {
  const { loss, next } = step();
  const [wantedLoss, wantedWeights] = evaluate([loss, next], { W: weights, x: rows, t: targets });
  const executable = await runtime.load(program(runtime.target));
  await runtime.setState("W", weights);
  const { loss: gotLoss } = await executable.run({ x: rows, t: targets });
  const got = [...Array.from(gotLoss ?? [], Number), ...(await runtime.getState("W"))];
  const wanted = [...(wantedLoss ?? []), ...(wantedWeights ?? [])];
  const error = Math.max(...wanted.map((value, i) => Math.abs(value - (got[i] ?? Number.NaN))));
  return error < TOLERANCE ? undefined : `it computes wrong values (off by ${error.toPrecision(2)})`;
}
