/** Answers that are none: not finite, of another shape, or relative to the other images of a batch. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openTeacher } from "../../../src/distillation/teacher.ts";
import { openClassifier } from "../../../src/evaluation/classifier.ts";
import { writeCheckpoint } from "../../../src/formats/safetensors-file.ts";
import { createModel } from "../../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../../src/nn/parameters.ts";
import { createRandom } from "../../../src/random.ts";
import { temporaryFolder } from "../../data/temporary.ts";
import { sharedRuntime } from "../../helpers/devices.ts";
import type { GraphFile, Step } from "../../helpers/onnx-graph.ts";
import { integers } from "../../helpers/onnx-graph.ts";

import { MATRIX, write, pixels, mean, std } from "./linear-classifiers.ts";

describe("no answers", () => {
  test.each<[string, GraphFile, string]>([
    [
      "infinite",
      {
        matrix: [
          [1e38, 0],
          [1e38, 0],
          [1e38, 0],
        ],
        tail: [["Mul", ["scores", "scores"], "answers"]],
      },
      "onnx/not-finite",
    ],
    [
      "no number",
      {
        matrix: MATRIX,
        tail: [
          ["Sub", ["scores", "scores"], "z"],
          ["Div", ["z", "z"], "answers"],
        ],
      },
      "onnx/not-finite",
    ],
    [
      "minus infinity",
      {
        matrix: MATRIX,
        tail: [
          ["Sub", ["scores", "scores"], "z"],
          ["Log", ["z"], "answers"],
        ],
      },
      "onnx/not-finite",
    ],
    ["more classes than said", { matrix: MATRIX, columns: 2 }, "onnx/wrong-output"],
    ["fewer classes than said", { matrix: MATRIX, columns: 10 }, "onnx/wrong-output"],
    [
      "one row for all images",
      { matrix: MATRIX, tail: [["ReduceMean", ["scores"], "answers", { axes: [0], keepdims: 1 }]] },
      "onnx/wrong-output",
    ],
    [
      "one row for all images, whose length the file leaves open",
      {
        matrix: MATRIX.map((row) => [...row, ...row, ...row, ...row]),
        columns: "k",
        tail: [["ReduceMean", ["scores"], "answers", { axes: [0], keepdims: 1 }]],
      },
      "onnx/wrong-output",
    ],
    [
      "[classes, batch]",
      { matrix: MATRIX, tail: [["Transpose", ["scores"], "answers", { perm: [1, 0] }]] },
      "onnx/wrong-output",
    ],
    [
      "relative to the other images of a batch",
      {
        matrix: MATRIX,
        tail: [
          ["ReduceMean", ["scores"], "mean", { axes: [0], keepdims: 1 }],
          ["Sub", ["scores", "mean"], "answers"],
        ],
      },
      "onnx/wrong-output",
    ],
  ])("%s, on every path", async (_, model, code) => {
    const file = await write(model);
    const options = { device: "cpu", preprocessing: { mean, std, cropRatio: 1 } } as const;
    const asked = async (): Promise<unknown> => {
      await using classifier = await openClassifier(file, options);
      return await classifier.logits(Uint8Array.from(pixels));
    };
    await expect(asked()).rejects.toMatchObject({ code });
    const taught = async (): Promise<unknown> => {
      const request = { path: file, model: undefined, weights: undefined, inputSize: undefined, mean, std };
      const student = { numClasses: 3, classes: undefined };
      const { source } = await openTeacher(request, { student: student, warn: () => {} });
      if (!("load" in source)) throw new Error("a teacher of neither kind");
      const answer = await source.load(await sharedRuntime("cpu"), { batchSize: 5 });
      return answer(Float32Array.from(pixels, (value) => value / 255));
    };
    if (model.columns === undefined && (model.matrix[0]?.length ?? 0) === 3)
      await expect(taught()).rejects.toMatchObject({ code });
  });
});

test("the largest scores alone are refused", async () => {
  const constants = [integers("two", [2])];
  const tail: Step[] = [["TopK", ["scores", "two"], "answers"]];
  const file = await write({ matrix: MATRIX, tail, constants, columns: 2 });
  await expect(openClassifier(file)).rejects.toMatchObject({
    code: "onnx/no-classifier",
    message: expect.stringMatching(/returns only the largest scores \(TopK\)/),
  });
});

test("a model of ours whose arithmetic overflows", async () => {
  const model = createModel("deit_w64d4_patch4_32", { numClasses: 3 });
  const vectors = initialVectors(modelLayout(model), createRandom(0));
  const tensors = unpackTensors(modelLayout(model), vectors);
  for (const name of ["norm.weight", "head.weight"])
    for (const i of tensors.get(name)?.data.keys() ?? []) tensors.get(name)?.data.fill(1e30, i, i + 1);
  const path = join(await temporaryFolder(), "overflows.safetensors");
  await writeCheckpoint(path, { tensors, metadata: { model: model.name, classes: '["a","b","c"]' } });
  const code = "checkpoint/not-finite-answers";
  const asked = async (): Promise<unknown> => {
    await using classifier = await openClassifier(path, { device: "cpu" });
    return await classifier.logits(new Uint8Array(3 * 32 * 32).map((_, i) => i % 251));
  };
  await expect(asked()).rejects.toMatchObject({ code });
  const classified = async (): Promise<unknown> => {
    await using classifier = await openClassifier(path, { device: "cpu" });
    const data = new Uint8Array(3 * 40 * 40).map((_, i) => i % 251);
    return await classifier.classify({ data, width: 40, height: 40 });
  };
  await expect(classified()).rejects.toMatchObject({ code });
});
