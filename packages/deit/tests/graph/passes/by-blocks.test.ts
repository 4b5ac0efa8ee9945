import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { fromBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "../../../src/graph/generated/onnx_pb.ts";
import type { Target } from "../../../src/graph/graph.ts";
import { input } from "../../../src/graph/graph.ts";
import {
  add,
  div,
  erf,
  exp,
  mul,
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
import type { TensorData } from "../../../src/runtime/runtime.ts";
import { createRuntime } from "../../../src/runtime/node.ts";
import { seededTensor } from "../../helpers/seeded.ts";

/** Rows and columns of a value that is large enough, and a vector's length. */
const [ROWS, COLUMNS, LENGTH] = [1584, 384, 640_000];

function gelu(target: Target): Program {
  const [x, bias, perRow] = [
    input("x", "float32", [ROWS / 8, 8, COLUMNS]),
    input("bias", "float32", [COLUMNS]),
    input("perRow", "float32", [ROWS / 8, 8, 1]),
  ];
  const u = add(x, bias);
  const t = add(mul(erf(u), 0.5), 0.5);
  const tail = div(u, exp(mul(u, u)));
  // Read from outside the chain, on the way to its end: the chain may not be one then.
  const around = sum(t, -1, { keepDims: true });
  const slope = mul(sub(add(t, tail), perRow), around);
  return compile({
    name: "gelu",
    target,
    outputs: { activated: mul(u, t), slope: reshape(slope, [ROWS, COLUMNS]) },
  });
}

function moment(target: Target): Program {
  const [weight, m] = [input("W", "float32", [LENGTH]), input("m", "float32", [LENGTH])];
  const rate = reshape(slice(input("hyper", "float32", [2]), { axis: 0, start: 1 }), []);
  const grad = reshape(transpose(reshape(weight, [800, 800])), [LENGTH]);
  const next = add(mul(m, 0.9), grad);
  const square = mul(next, next);
  return compile({
    name: "moment",
    target,
    outputs: { total: sum(square), whole: square },
    state: { W: sub(weight, mul(div(next, add(sqrt(square), 1e-3)), rate)), m: next },
  });
}

function scans({ model }: Program): number {
  return (
    fromBinary(ModelProtoSchema, model).graph?.node.filter(({ opType }) => opType === "Scan").length ?? 0
  );
}

async function results(program: Program, steps: number, together = false): Promise<Record<string, string>> {
  const runtime = await createRuntime({ device: "cpu", threads: 2 });
  const executable = await runtime.load(together ? unrollSteps(program, steps) : program);
  const feeds: Record<string, Float32Array> = {};
  for (const [name, { shape }] of Object.entries(program.inputs)) {
    const values = Float32Array.from(seededTensor(name, sizeOf(shape), { offset: 0, scale: 2 }));
    if (Object.hasOwn(program.state, name)) await runtime.setState(name, values);
    else
      feeds[name] = together
        ? Float32Array.from({ length: steps * values.length }, (_, i) => values[i % values.length] ?? 0)
        : values;
  }
  let found: Record<string, TensorData> = {};
  for (let step = 0; step < (together ? 1 : steps); step++) found = await executable.run(feeds);
  for (const name of Object.keys(program.state)) found[name] = await runtime.getState(name);
  await runtime.close();
  return Object.fromEntries(
    Object.entries(found).map(([name, { buffer, byteOffset, byteLength }]) => [
      name,
      createHash("sha256")
        .update(new Uint8Array(buffer, byteOffset, byteLength))
        .digest("hex"),
    ]),
  );
}

it.each([
  ["two results, one read on the way", gelu],
  ["state in blocks", moment],
])("the same bits by blocks: %s", async (_, program) => {
  const [whole, blocks] = [program("cpu"), program("cpu16")];
  expect(scans(whole)).toBe(0);
  expect(scans(blocks)).toBeGreaterThan(0);
  expect(await results(blocks, 3)).toEqual(await results(whole, 3));
});

it("state in blocks goes on from step to step in one run, too", async () => {
  const [once, unrolled] = [await results(moment("cpu16"), 3), await results(moment("cpu16"), 3, true)];
  expect(unrolled["W"]).toEqual(once["W"]);
  expect(unrolled["m"]).toEqual(once["m"]);
});

it("small values, and rows that no blocks divide, stay as they are", () => {
  const chain = (shape: readonly number[]): Program => {
    const x = input("x", "float32", shape);
    return compile({ name: "chain", target: "cpu16", outputs: { y: exp(mul(add(x, 1), x)) } });
  };
  expect(scans(chain([64, 64]))).toBe(0);
  expect(scans(chain([1009, 1000]))).toBe(0); // a prime
  expect(scans(chain([1000, 1000]))).toBe(1);
});
