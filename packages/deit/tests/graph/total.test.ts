/** The sum of a long vector: in two stages on WebGPU, the same number everywhere. */
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { ModelProtoSchema } from "../../src/graph/generated/onnx_pb.ts";
import type { Target } from "../../src/graph/graph.ts";
import { input } from "../../src/graph/graph.ts";
import * as ops from "../../src/graph/ops.ts";
import type { Program } from "../../src/graph/program.ts";
import { compile } from "../../src/graph/program.ts";
import { globalNorm } from "../../src/optim/clip.ts";
import { devices, sharedRuntime } from "../helpers/devices.ts";
import { seededTensor } from "../helpers/seeded.ts";

const totalOf = (length: number, target: Target): Program =>
  compile({ name: "total", target, outputs: { y: ops.total(input("x", "float32", [length])) } });

/** The operations of a program but those that only move, in order. */
function operations(program: Program): string[] {
  const types = fromBinary(ModelProtoSchema, program.model).graph?.node.map(({ opType }) => opType) ?? [];
  return types.filter((type) => !["Reshape", "Identity"].includes(type));
}

test("one sum a row, then the rows, and what is left of a row by itself", () => {
  expect(operations(totalOf(64 * 1024, "webgpu"))).toEqual(["ReduceSum", "ReduceSum"]);
  expect(operations(totalOf(64 * 1024 - 1, "webgpu"))).toEqual(["ReduceSum"]);
  const rest = operations(totalOf(70_001, "webgpu")).toSorted();
  expect(rest).toEqual(["Add", "ReduceSum", "ReduceSum", "ReduceSum", "Slice", "Slice"]);
  expect(operations(totalOf(70_001, "cpu"))).toEqual(["ReduceSum"]);
});

test("more rows than one workgroup should add up are rows again", () => {
  expect(operations(totalOf(64 * 1024 * 1024, "webgpu"))).toEqual(["ReduceSum", "ReduceSum", "ReduceSum"]);
});

test("the norm of a model's gradient is made of such sums", () => {
  const norm = globalNorm([input("a", "float32", [128 * 1024]), input("b", "float32", [3])]);
  const program = compile({ name: "norm", target: "webgpu", outputs: { norm } });
  expect(operations(program).filter((type) => type === "ReduceSum")).toHaveLength(3);
});

describe.each(devices)("on %s", (device) => {
  test.each([70_001, 65_536])("%i numbers", async (length) => {
    const x = seededTensor(`total ${length}`, length, { offset: 0.25, scale: 2 });
    const runtime = await sharedRuntime(device);
    const executable = await runtime.load(totalOf(length, runtime.target));
    const { y } = await executable.run({ x });
    await executable.release();
    const exact = x.reduce((sum, value) => sum + value, 0);
    expect(Math.abs(Number(y?.[0]) - exact) / exact).toBeLessThan(1e-5);
  });
});
