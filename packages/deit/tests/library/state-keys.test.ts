/** Wrong names of state, vectors, tensors, feeds and options are errors wherever code gives them: nothing trains from zeros. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as graph from "deit-ts/graph";
import type { ModelOptions } from "deit-ts/models";
import {
  adamW,
  createModel,
  createRandom,
  initialState,
  initialVectors,
  modelLayout,
  packTensors,
  trainingState,
  unpackTensors,
} from "../../src/node.ts";

const { compile, createRuntime, input, ops } = graph;
const model = createModel("deit_w64d4_patch4_32", { numClasses: 3 });
const layout = modelLayout(model);
const optimizer = adamW();
const weights = initialVectors(layout, createRandom(0));
const renamed = Object.fromEntries(Object.entries(weights).map(([name, data]) => [`W.${name}`, data]));

describe("the state of a training", () => {
  test("has every vector of the program: weights where they belong, moments at 0", () => {
    const state = initialState(layout, optimizer, weights);
    expect(Object.keys(state)).toEqual(trainingState(layout, optimizer).map(({ name }) => name));
    expect(state["W.decay"]).toBe(weights["decay"]);
    expect(state["m.decay"]?.every((value) => value === 0)).toBe(true);
  });
  test("is not made of weights under other names, or too few of them", () => {
    const code = "program/state";
    expect(() => initialState(layout, optimizer, renamed)).toThrow(expect.objectContaining({ code }));
    expect(() => initialState(layout, optimizer, {})).toThrow(expect.objectContaining({ code }));
    const short = { ...weights, decay: new Float32Array(3) };
    expect(() => initialState(layout, optimizer, short)).toThrow(
      expect.objectContaining({ code: "run/other-program" }),
    );
  });
});

test("vectors and tensors of other names", () => {
  const code = "checkpoint/wrong-tensors";
  const tensors = unpackTensors(layout, weights);
  expect(() => unpackTensors(layout, { ...weights, more: new Float32Array(1) })).toThrow(
    expect.objectContaining({ code, unexpected: ["more"] }),
  );
  expect(() => unpackTensors(layout, renamed)).toThrow(expect.objectContaining({ code }));
  const other = new Map([...tensors].map(([name, tensor]) => [`model.${name}`, tensor]));
  expect(() => packTensors(layout, other)).toThrow(expect.objectContaining({ code }));
});

test("options of a model", () => {
  const misspelt = { imputSize: 16 } as ModelOptions;
  expect(() => createModel("deit_w64d4_patch4_32", misspelt)).toThrow(
    expect.objectContaining({ code: "options/unknown", message: expect.stringContaining("inputSize") }),
  );
});

describe("programs", () => {
  const w = input("W.decay", "float32", [2]);
  let runtime: graph.Runtime;
  beforeAll(async () => {
    runtime = await createRuntime({ device: "cpu", threads: 1 });
  });
  afterAll(async () => {
    await runtime.close();
  });

  test("state that is replaced but is not an input", () => {
    const state = { decay: ops.add(w, 1) };
    expect(() => compile({ name: "p", target: "cpu", outputs: { y: ops.sum(w) }, state })).toThrow(
      expect.objectContaining({ code: "graph/state" }),
    );
  });
  test("state that was set under another name, feeds that are not inputs", async () => {
    const options = { name: "p", target: runtime.target, outputs: { y: ops.sum(w) } };
    const program = await runtime.load(compile({ ...options, state: { "W.decay": ops.add(w, 1) } }));
    await runtime.setState("decay", new Float32Array(2));
    await expect(program.run({})).rejects.toMatchObject({ code: "program/state" });
    await runtime.setState("W.decay", new Float32Array(2));
    await expect(program.run({ decay: new Float32Array(2) })).rejects.toMatchObject({
      code: "program/feeds",
    });
  });
});
