import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { fromBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "../../../src/graph/generated/onnx_pb.ts";
import type { Target, Value } from "../../../src/graph/graph.ts";
import { input } from "../../../src/graph/graph.ts";
import {
  add,
  div,
  erf,
  exp,
  mul,
  neg,
  reshape,
  slice,
  sqrt,
  sub,
  sum,
  transpose,
} from "../../../src/graph/ops.ts";
import type { Program } from "../../../src/graph/program.ts";
import { compile } from "../../../src/graph/program.ts";
import { unrollSteps } from "../../../src/graph/unroll-steps.ts";
import { sizeOf } from "../../../src/graph/shape.ts";
import type { Runtime, TensorData } from "../../../src/runtime/runtime.ts";
import { createRuntime } from "../../../src/runtime/node.ts";
import { seededTensor } from "../../helpers/seeded.ts";

const runtime: Runtime = await createRuntime({ device: "cpu", threads: 2 });
/** Our own operations lie in the repository for some platforms. */
const hasOwn = runtime.target.endsWith("-chains");

function chains({ model }: Program): number {
  return (
    fromBinary(ModelProtoSchema, model).graph?.node.filter(({ opType }) => opType === "Chain").length ?? 0
  );
}

/** Two results of one chain, one of them read from outside on the way to the other: then they are two chains. */
function gelu(target: Target, [rows, columns]: readonly [number, number]): Program {
  const x = input("x", "float32", [rows / 8, 8, columns]);
  const u = add(x, input("bias", "float32", [columns]));
  const t = add(mul(erf(u), 0.5), 0.5);
  const tail = div(u, exp(mul(u, u)));
  const around = sum(t, -1, { keepDims: true });
  const slope = mul(sub(add(t, tail), input("perRow", "float32", [rows / 8, 8, 1])), around);
  return compile({
    name: "gelu",
    target,
    outputs: { activated: mul(u, t), slope: reshape(slope, [rows, columns]) },
  });
}

/** A vector of state that is replaced by what a chain returns. */
function moment(target: Target, length: number): Program {
  const [weight, m] = [input("W", "float32", [length]), input("m", "float32", [length])];
  const rate = reshape(slice(input("hyper", "float32", [2]), { axis: 0, start: 1 }), []);
  const side = Math.sqrt(length);
  const grad = reshape(transpose(reshape(weight, [side, side])), [length]);
  const next = add(mul(m, 0.9), grad);
  const square = mul(next, next);
  return compile({
    name: "moment",
    target,
    outputs: { total: sum(square), whole: square },
    state: { W: sub(weight, mul(div(next, add(sqrt(square), 1e-3)), rate)), m: next },
  });
}

/** A bias, and a residual that follows under another shape: one chain, though its operands have three axes. */
function residual(target: Target): Program {
  const x = input("x", "float32", [24, 8, 192]);
  const biased = add(input("product", "float32", [192, 192]), input("bias", "float32", [192]));
  const sums = add(mul(reshape(biased, [24, 8, 192]), input("perRow", "float32", [24, 8, 1])), x);
  return compile({ name: "residual", target, outputs: { sums, kept: mul(sums, 0.5) } });
}

/** More operations than a chain holds. */
function long(target: Target): Program {
  let value: Value = input("x", "float32", [70, 70]);
  for (let i = 0; i < 100; i++) value = i % 2 === 0 ? neg(value) : add(mul(value, 0.99), i / 100);
  return compile({ name: "long", target, outputs: { value } });
}

async function results(
  program: Program,
  { steps = 1, together = false } = {},
): Promise<Record<string, string>> {
  const executable = await runtime.load(together ? unrollSteps(program, steps) : program);
  const feeds: Record<string, Float32Array> = {};
  for (const [name, { shape }] of Object.entries(program.inputs)) {
    const values = Float32Array.from(seededTensor(name, sizeOf(shape), { offset: 0, scale: 2 }));
    if (Object.hasOwn(program.state, name)) await runtime.setState(name, values);
    else if (together)
      feeds[name] = Float32Array.from(
        { length: steps * values.length },
        (_, i) => values[i % values.length] ?? 0,
      );
    else feeds[name] = values;
  }
  let found: Record<string, TensorData> = {};
  for (let step = 0; step < (together ? 1 : steps); step++) found = await executable.run(feeds);
  for (const name of Object.keys(program.state)) found[name] = await runtime.getState(name);
  await executable.release();
  return Object.fromEntries(
    Object.entries(found).map(([name, { buffer, byteOffset, byteLength }]) => [
      name,
      createHash("sha256")
        .update(new Uint8Array(buffer, byteOffset, byteLength))
        .digest("hex"),
    ]),
  );
}

it.skipIf(!hasOwn).each([
  ["rows of 198, of a row's and a column's number", 1, (target: Target) => gelu(target, [1584, 198])],
  ["rows longer than a tile", 1, (target: Target) => gelu(target, [16, 2500])],
  ["fewer rows than threads", 1, (target: Target) => gelu(target, [8, 5000])],
  ["a change of shape between two of them", 1, residual],
  ["vectors, which are state", 1, (target: Target) => moment(target, 640_000)],
  ["vectors that are written past the caches", 1, (target: Target) => moment(target, 1025 ** 2)],
  ["more operations than a chain holds", 5, long],
])("the same bits in chains: %s", async (_, count, program) => {
  const [whole, chained] = [program("cpu16"), program("cpu16-chains")];
  expect([chains(whole), chains(chained)]).toEqual([0, expect.any(Number)]);
  expect(chains(chained)).toBeGreaterThanOrEqual(count);
  expect(await results(chained, { steps: 3 })).toEqual(await results(whole, { steps: 3 }));
});

it.skipIf(!hasOwn)("state that a chain replaces goes on from step to step in one run, too", async () => {
  const program = moment("cpu16-chains", 640_000);
  const [once, unrolled] = [
    await results(program, { steps: 3 }),
    await results(program, { steps: 3, together: true }),
  ];
  expect(unrolled["W"]).toEqual(once["W"]);
  expect(unrolled["m"]).toEqual(once["m"]);
});

it("small values and single operations stay as they are, and other targets have no chains", () => {
  const program = (size: number, target: Target, operations = 2): Program => {
    let y: Value = input("x", "float32", [size]);
    for (let i = 0; i < operations; i++) y = exp(y);
    return compile({ name: "chain", target, outputs: { y } });
  };
  expect(chains(program(100, "cpu16-chains"))).toBe(0);
  expect(chains(program(10_000, "cpu16-chains", 1))).toBe(0);
  expect(program(100, "cpu16-chains").hasChains).toBeUndefined();
  for (const target of ["cpu", "cpu8", "webgpu", "portable"] as const)
    expect(chains(program(10_000, target))).toBe(0);
  expect(chains(program(10_000, "cpu8-chains"))).toBe(1);
  expect(program(10_000, "cpu8-chains").hasChains).toBe(true);
});
