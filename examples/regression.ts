// Nothing but numbers: a network of two layers learns y = sin(3x), by gradient descent: node regression.ts
import { compile, constant, createRandom, createRuntime, gradient, input, ops } from "deit-ts/graph";
import type { Value } from "deit-ts/graph";

const [count, hidden] = [64, 32];
const random = createRandom(1);
const xs = Float32Array.from({ length: count }, () => random.uniform() * 2 - 1);
const ys = xs.map((x) => Math.sin(3 * x));

// The model and its loss, over symbolic values. Weights are inputs that the device keeps: state.
const [w1, b1] = [input("w1", "float32", [1, hidden]), input("b1", "float32", [hidden])];
const [w2, b2] = [input("w2", "float32", [hidden, 1]), input("b2", "float32", [1])];
const x = input("x", "float32", [count, 1]);
const inner = ops.tanh(ops.add(ops.matmul(x, w1), b1));
const error = ops.sub(ops.add(ops.matmul(inner, w2), b2), constant(ys, [count, 1]));
const loss = ops.mean(ops.mul(error, error));

// One step: every weight minus its gradient times the learning rate.
const weights = { w1, b1, w2, b2 };
const slopes = gradient(loss, Object.values(weights));
const state: Record<string, Value> = {};
for (const [i, [name, weight]] of Object.entries(weights).entries())
  state[name] = ops.sub(weight, ops.mul(slopes[i] ?? 0, 0.1));

const runtime = await createRuntime({ device: "cpu", threads: 1 });
const step = await runtime.load(compile({ name: "step", target: runtime.target, outputs: { loss }, state }));
for (const [name, { shape }] of Object.entries(weights)) {
  const length = shape.reduce((product, side) => product * side, 1);
  await runtime.setState(
    name,
    Float32Array.from({ length }, () => random.normal(0, 0.5)),
  );
}
for (let i = 0; i <= 4000; i++) {
  const { loss } = await step.run({ x: xs });
  if (i % 1000 === 0) console.log(`step ${i}: loss ${loss?.[0]}`);
}
await runtime.close();
