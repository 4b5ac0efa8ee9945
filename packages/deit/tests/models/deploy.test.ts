/** A deployed program carries its weights and answers as the model does. */
import { describe, expect, test } from "vitest";
import { CheckpointError } from "../../src/errors.ts";
import type { Target } from "../../src/graph/graph.ts";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { deployedProgram } from "../../src/models/deploy.ts";
import { jointLogits } from "../../src/models/heads.ts";
import { createModel } from "../../src/models/registry.ts";
import { evaluationContext } from "../../src/nn/context.ts";
import type { Tensors } from "../../src/nn/parameters.ts";
import { createScope } from "../../src/nn/parameters.ts";
import { expectClose } from "../graph/compare.ts";
import { graphOf } from "../graph/parse.ts";
import { sharedRuntime } from "../helpers/devices.ts";
import { seededImages, seededParameter, seededTensor } from "../helpers/seeded.ts";

const model = createModel("deit_w64d4_distilled_patch4_32", { inputSize: 8, numClasses: 3 });
const tensors: Tensors = new Map(
  model.parameters.map(({ name, shape }) => [name, { shape, data: seededParameter(name, shape, 64) }]),
);
const pixels = seededTensor("images", 2 * 3 * 64, seededImages);

describe.each<Target>(["cpu", "portable"])("for %s", (target) => {
  test("gives the joint classifier's logits", async () => {
    const program = deployedProgram(model, tensors, { batchSize: 2, target });
    expect(Object.keys(program.inputs)).toEqual(["pixel_values"]);
    expect(program.outputs).toEqual({ logits: { dtype: "float32", shape: [2, 3] } });
    expect(program.state).toEqual({});
    const runtime = await sharedRuntime("cpu");
    const executable = await runtime.load(program);
    const { logits } = await executable.run({ pixel_values: pixels });
    await executable.release();
    const values = new Map(model.parameters.map(({ name, shape }) => [name, input(name, "float32", shape)]));
    const images = input("images", "float32", [2, 3, 8, 8]);
    const heads = model.forward(
      images,
      createScope(({ name }) => values.get(name) ?? images),
      evaluationContext(),
    );
    const feeds = Object.fromEntries([...tensors].map(([name, { data }]) => [name, data]));
    const [expected] = evaluate([jointLogits(heads)], { ...feeds, images: pixels });
    expectClose(logits, expected, { tolerance: 1e-5 });
  });
});

test("what is portable knows ONNX's own operators alone, and folds what is constant", () => {
  const graph = graphOf(deployedProgram(model, tensors, { batchSize: 2, target: "portable" }));
  expect(new Set(graph.node.map(({ domain }) => domain))).toEqual(new Set([""]));
  const constants = new Set(graph.initializer.map(({ name }) => name));
  // Reshape, Expand and the like take their shapes as constants beside a value; nothing takes constants alone but Expand.
  const foldable = graph.node.filter(
    ({ opType, input: names }) => opType !== "Expand" && names.every((name) => constants.has(name)),
  );
  expect(foldable.map(({ name }) => name)).toEqual([]);
});

test("missing weights are named", () => {
  const few = new Map([...tensors].slice(1));
  expect(() => deployedProgram(model, few, { batchSize: 1, target: "cpu" })).toThrow(CheckpointError);
  expect(() => deployedProgram(model, few, { batchSize: 1, target: "cpu" })).toThrow(
    /the weights lack cls_token/,
  );
});
