/** A compiled program: its bytes read back, the names of its inputs, outputs and state. */
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { ModelProtoSchema } from "../../src/graph/generated/onnx_pb.ts";
import type { DType, Value } from "../../src/graph/graph.ts";
import { constant, input } from "../../src/graph/graph.ts";
import { onnxModel } from "../../src/graph/onnx-model.ts";
import * as ops from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import { sharedRuntime } from "../helpers/devices.ts";
import { danglingNames, graphOf } from "./parse.ts";

const w = input("W", "float32", [4]);
const x = input("x", "float32", [2, 4]);

describe("compile", () => {
  test("lists typed inputs and outputs, in the model too", () => {
    const program = compile({
      name: "p",
      target: "cpu",
      outputs: { y: ops.mul(x, w), top: ops.argmax(x, 1) },
    });
    expect(program.inputs).toEqual({
      x: { dtype: "float32", shape: [2, 4] },
      W: { dtype: "float32", shape: [4] },
    });
    expect(program.outputs).toEqual({
      y: { dtype: "float32", shape: [2, 4] },
      top: { dtype: "int32", shape: [2] },
    });
    const graph = graphOf(program);
    expect(graph.name).toBe("p");
    expect(graph.input.map(({ name }) => name).toSorted()).toEqual(["W", "x"]);
    expect(graph.output.map(({ name }) => name)).toEqual(["y", "top"]);
    const { value: type } = graph.output[1]?.type ?? {};
    if (type?.case !== "tensorType") throw new Error("an output that is not a tensor");
    expect(type.value.elemType).toBe(6); // int32
    expect(type.value.shape?.dim.map(({ value }) => value)).toEqual([{ case: "dimValue", value: 2n }]);
  });

  test("names the next state after the state it replaces", () => {
    const program = compile({
      name: "p",
      target: "cpu",
      outputs: { loss: ops.sum(ops.mul(w, input("rate", "float32", []))) },
      state: { W: ops.mul(w, 0.5), rate: null },
    });
    expect(program.state).toEqual({ W: "W.next", rate: null });
    expect(Object.keys(program.outputs)).toEqual(["loss", "W.next"]);
  });

  test("forgets state that nothing reads", () => {
    const program = compile({ name: "p", target: "cpu", outputs: { y: ops.neg(x) }, state: { W: null } });
    expect(program.state).toEqual({});
    expect(Object.keys(program.inputs)).toEqual(["x"]);
  });

  test("refuses to replace state that is not an input: its update would be lost", () => {
    const build = (state: Record<string, Value>): unknown =>
      compile({ name: "p", target: "cpu", outputs: { loss: ops.sum(w) }, state });
    expect(build({ W: ops.mul(w, 0.5) })).toBeDefined();
    // Weights under another name would be fed, and so start wherever the feeds do.
    for (const name of ["w", "W.decay", "toString"])
      expect(() => build({ [name]: ops.mul(w, 0.5) })).toThrow(
        expect.objectContaining({ code: "graph/state" }),
      );
    expect(() => build({ decay: ops.mul(w, 0.5) })).toThrow(
      /^p: the state "decay" is replaced but is not an input; inputs are W\n/,
    );
  });

  test("refuses one name for an input and an output", () => {
    expect(() => compile({ name: "p", target: "cpu", outputs: { x: ops.neg(x) } })).toThrow(
      /^p: "x" names an input and an output/,
    );
  });

  test("refuses two inputs of one name and different types", () => {
    const other = input("x", "float32", [8]);
    const both = { a: ops.neg(x), b: ops.neg(other) };
    expect(() => compile({ name: "p", target: "cpu", outputs: both })).toThrow(
      /p: the input "x" is used as float32 \[2, 4\] and as float32 \[8\]/,
    );
  });

  test("inputs of one name and type are one", () => {
    const again = input("x", "float32", [2, 4]);
    const program = compile({ name: "p", target: "cpu", outputs: { y: ops.add(x, again) } });
    expect(graphOf(program).input.length).toBe(1);
  });

  test("is the same bytes each time", () => {
    const build = (): Uint8Array =>
      compile({ name: "p", target: "cpu", outputs: { y: ops.softmax(ops.add(x, 1)) } }).model;
    expect(build()).toEqual(build());
  });
});

describe("the model's bytes", () => {
  const constants: [DType, Value, number[]][] = [
    ["float32", constant(Float32Array.of(1.5, -2)), [0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0]],
    ["float16", constant(Float32Array.of(1.5, -2), [2], "float16"), [0, 0x3e, 0, 0xc0]],
    ["int32", constant(Int32Array.of(3, -1), [2], "int32"), [3, 0, 0, 0, 255, 255, 255, 255]],
    [
      "int64",
      constant(BigInt64Array.of(3n, -1n), [2], "int64"),
      [3, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255],
    ],
    [
      "int64",
      constant(Float64Array.of(3, -1), [2], "int64"),
      [3, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255],
    ],
    ["bool", constant(Uint8Array.of(1, 0), [2], "bool"), [1, 0]],
    ["uint8", constant(Uint8Array.of(200, 7), [2], "uint8"), [200, 7]],
  ];

  test.each(constants)("hold a %s constant", (_, value, bytes) => {
    const { initializer, output } = graphOf({ model: onnxModel({ name: "p", outputs: { y: value } }) });
    expect([...(initializer[0]?.rawData ?? [])]).toEqual(bytes);
    expect(initializer[0]?.dims).toEqual([2n]);
    const { value: type } = output[0]?.type ?? {};
    expect(type?.case === "tensorType" && type.value.elemType).toBe(initializer[0]?.dataType);
  });

  test("a view into a larger buffer is written alone", () => {
    const view = new Float32Array([9, 1, 2, 9]).subarray(1, 3);
    const { initializer } = graphOf({ model: onnxModel({ name: "p", outputs: { y: constant(view) } }) });
    expect(new Float32Array(Uint8Array.from(initializer[0]?.rawData ?? []).buffer)).toEqual(
      Float32Array.of(1, 2),
    );
  });

  test("name opsets, producer and metadata", () => {
    const model = fromBinary(
      ModelProtoSchema,
      onnxModel({ name: "p", outputs: { y: ops.neg(x) }, metadata: { license: "none" } }),
    );
    expect(model.irVersion).toBe(9n);
    expect(model.opsetImport.map(({ domain, version }) => [domain, version])).toEqual([
      ["", 18n],
      ["com.microsoft", 1n],
    ]);
    expect(model.metadataProps.map(({ key, value }) => [key, value])).toEqual([["license", "none"]]);
  });

  test("are of opset 20 where there is a Gelu", () => {
    const { opsetImport } = fromBinary(
      ModelProtoSchema,
      onnxModel({ name: "p", outputs: { y: ops.gelu(x) } }),
    );
    expect(opsetImport[0]?.version).toBe(20n);
  });

  test("have every name once, made before it is used", () => {
    const [a = x, b = x] = ops.split(x, [1, 3], 1);
    const outputs = { y: ops.concat([b, ops.neg(a)], 1), b, alsoB: b };
    expect(danglingNames(graphOf({ model: onnxModel({ name: "p", outputs }) }))).toEqual([]);
  });

  test("refuse what was not lowered", () => {
    const { attended } = ops.attention({ q: x3, k: x3, v: x3 }, { numHeads: 1 });
    expect(() => onnxModel({ name: "p", outputs: { y: attended } })).toThrow(/attention was not lowered/);
  });
});

const x3 = input("x", "float32", [2, 1, 4]);

test("values with several public names, inputs and constants come back as outputs", async () => {
  const runtime = await sharedRuntime("cpu");
  const y = ops.neg(x);
  const outputs = { y, again: y, input: x, constant: constant(Float32Array.of(7)), copy: ops.add(x, 0) };
  const executable = await runtime.load(compile({ name: "p", target: "cpu", outputs }));
  const results = await executable.run({ x: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) });
  await executable.release();
  expect(results["again"]).toEqual(results["y"]);
  expect(results["input"]).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  expect(results["copy"]).toEqual(results["input"]);
  expect(results["constant"]).toEqual(Float32Array.of(7));
});
