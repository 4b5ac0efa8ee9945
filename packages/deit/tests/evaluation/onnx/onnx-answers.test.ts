/** What ONNX files of any maker answer, whatever their last steps. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { openTeacher } from "../../../src/distillation/teacher.ts";
import { openClassifier } from "../../../src/evaluation/classifier.ts";
import { predict } from "../../../src/evaluation/predict.ts";
import type { Step } from "../../helpers/onnx-graph.ts";
import { floats, integers } from "../../helpers/onnx-graph.ts";

import {
  MATRIX,
  COLUMN,
  write,
  mean,
  std,
  scores,
  softmax,
  answered,
  expectClose,
  last,
  FLOAT16,
  DOUBLE,
} from "./linear-classifiers.ts";

describe("a row for each image", () => {
  test.each<[string, Step[], number?]>([
    ["logits", [["Identity", ["scores"], "answers"]]],
    ["with a bias", [["Add", ["scores", "bias"], "answers"]]],
    ["Softmax", [["Softmax", ["scores"], "answers", { axis: 1 }]]],
    [
      "Softmax, Cast to float64 and back",
      last(["Cast", ["p"], "q", { to: DOUBLE }], ["Cast", ["q"], "answers", { to: 1 }]),
    ],
    [
      "Softmax, Cast to float16 and back",
      last(["Cast", ["p"], "q", { to: FLOAT16 }], ["Cast", ["q"], "answers", { to: 1 }]),
      1e-3,
    ],
    ["Softmax, Identity twice", last(["Identity", ["p"], "q"], ["Identity", ["q"], "answers"])],
    ["Softmax, Reshape", last(["Reshape", ["p", "shape"], "answers"])],
    [
      "Softmax, Unsqueeze, Squeeze",
      last(["Unsqueeze", ["p", "one"], "q"], ["Squeeze", ["q", "one"], "answers"]),
    ],
    ["Softmax, Flatten", last(["Flatten", ["p"], "answers"])],
    ["Softmax, Dropout", last(["Dropout", ["p"], "answers"])],
    ["Softmax, Clip: by its answers", last(["Clip", ["p", "low", "high"], "answers"])],
    [
      "Exp, ReduceSum, Div: by its answers",
      [
        ["Exp", ["scores"], "e"],
        ["ReduceSum", ["e", "one"], "t"],
        ["Div", ["e", "t"], "answers"],
      ],
    ],
    [
      "Exp of LogSoftmax: by its answers",
      [
        ["LogSoftmax", ["scores"], "l"],
        ["Exp", ["l"], "answers"],
      ],
    ],
    ["a mean of Softmax: by its answers", last(["Mean", ["p", "p"], "answers"])],
    ["Softmax, MatMul: by its answers", last(["MatMul", ["p", "same"], "answers"])],
    [
      "Softmax, Gemm behind Identity: by its answers",
      last(["Identity", ["p"], "q"], ["Gemm", ["q", "same"], "answers"]),
    ],
    [
      "Softmax, MatMul, Add: by its answers",
      last(["MatMul", ["p", "same"], "q"], ["Add", ["bias", "q"], "answers"]),
    ],
    ["Softmax in percent: by its answers", last(["Mul", ["p", "percent"], "answers"])],
    ["LogSoftmax", [["LogSoftmax", ["scores"], "answers"]]],
    ["Softmax, Log", last(["Log", ["p"], "answers"])],
    ["Sigmoid", [["Sigmoid", ["scores"], "answers"]]],
    [
      "Sigmoid, Cast",
      [
        ["Sigmoid", ["scores"], "p"],
        ["Cast", ["p"], "answers", { to: 1 }],
      ],
    ],
    [
      "1 / (1 + exp(−x)): by its answers",
      [
        ["Neg", ["scores"], "n"],
        ["Exp", ["n"], "e"],
        ["Add", ["e", "high"], "t"],
        ["Reciprocal", ["t"], "answers"],
      ],
    ],
  ])("%s", async (name, tail, off) => {
    const constants = [
      floats("bias", [3], [0, 0, 0]),
      floats("low", [], [1e-7]),
      floats("high", [], [1]),
      floats("percent", [], [100]),
      floats("same", [3, 3], [1, 0, 0, 0, 1, 0, 0, 0, 1]),
      integers("shape", [-1, 3]),
      integers("one", [1]),
    ];
    const { shares, notes } = await answered(await write({ matrix: MATRIX, tail, constants }));
    expectClose(shares, scores(MATRIX).map(softmax), off);
    const sigmoid = /^(Sigmoid|1 )/.test(name);
    expect(notes).toEqual(
      sigmoid ? [expect.stringMatching(/scores each class independently \(sigmoid\)/)] : [],
    );
  });

  test("two classes, each scored by itself: by its answers", async () => {
    const tail: Step[] = [
      ["Neg", ["scores"], "n"],
      ["Exp", ["n"], "e"],
      ["Add", ["e", "high"], "t"],
      ["Div", ["high", "t"], "answers"],
    ];
    const matrix = MATRIX.map((row) => row.slice(0, 2));
    const constants = [floats("high", [1], [1])];
    const { shares, notes } = await answered(await write({ matrix, tail, constants }));
    expectClose(shares, scores(matrix).map(softmax));
    expect(notes).toEqual([expect.stringMatching(/scores each class independently/)]);
  });

  test("that only images of 0 to 1 have: trial images are such", async () => {
    const tail: Step[] = [
      ["Sqrt", ["scores"], "r"],
      ["Identity", ["r"], "q"],
      ["Mul", ["q", "q"], "answers"],
    ];
    const matrix = MATRIX.map((row) => row.map(Math.abs));
    expectClose((await answered(await write({ matrix, tail }))).shares, scores(matrix).map(softmax));
  });

  test("whose length the file leaves open", async () => {
    const { shares } = await answered(
      await write({ matrix: MATRIX, tail: last(["Identity", ["p"], "answers"]), columns: "k" }),
    );
    expectClose(shares, scores(MATRIX).map(softmax));
  });
});

describe("one number for each image", () => {
  const two = scores(COLUMN).map(([z = 0]) => softmax([0, z]));

  test.each<[string, Step[]]>([
    ["Sigmoid", [["Sigmoid", ["scores"], "answers"]]],
    [
      "Sigmoid, Identity",
      [
        ["Sigmoid", ["scores"], "p"],
        ["Identity", ["p"], "answers"],
      ],
    ],
    [
      "a sigmoid of other operations",
      [
        ["Neg", ["scores"], "n"],
        ["Exp", ["n"], "e"],
        ["Add", ["e", "high"], "t"],
        ["Div", ["high", "t"], "answers"],
      ],
    ],
  ])("%s: two classes", async (_, tail) => {
    const constants = [floats("high", [1], [1])];
    const { shares, notes, labels } = await answered(await write({ matrix: COLUMN, tail, constants }));
    expectClose(shares, two);
    expect(notes).toEqual([expect.stringMatching(/used as that of the second of two classes/)]);
    expect(labels).toEqual(["class 0", "class 1"]);
  });

  test("names of both, or of the second", async () => {
    const tail: Step[] = [["Sigmoid", ["scores"], "answers"]];
    expect((await answered(await write({ matrix: COLUMN, tail }, ["cat", "dog"]))).labels).toEqual([
      "cat",
      "dog",
    ]);
    expect((await answered(await write({ matrix: COLUMN, tail }, ["dog"]))).labels).toEqual([
      "not dog",
      "dog",
    ]);
  });

  test("a logit with names of two classes", async () => {
    const { shares, notes } = await answered(await write({ matrix: COLUMN }, ["cat", "dog"]));
    expectClose(shares, two);
    expect(notes).toEqual([
      expect.stringMatching(/one logit for each image: it is used as that of the second/),
    ]);
  });

  test.each<[string, Step[] | undefined]>([
    ["a logit of nobody knows what", undefined],
    ["Softmax over one", [["Softmax", ["scores"], "answers"]]],
    [
      "1 throughout",
      [
        ["Div", ["scores", "scores"], "q"],
        ["Softmax", ["q"], "answers"],
      ],
    ],
  ])("%s is refused", async (_, tail) => {
    const file = await write({ matrix: COLUMN, ...(tail && { tail }) });
    await expect(openClassifier(file)).rejects.toMatchObject({
      code: "onnx/no-classifier",
      message: expect.stringMatching(/returns one number for each image, which names no class/),
    });
  });
});

test("a teacher without a mean is told by the teacher's flags", async () => {
  const path = await write({ matrix: MATRIX });
  const student = { numClasses: 3, classes: undefined };
  const said: string[] = [];
  await openTeacher({ path }, { student, warn: (message) => void said.push(message) });
  expect(said[0]).toMatch(
    /^teacher: .*onnx does not specify mean and std: assumed ImageNet's mean and std \(--teacher-mean, --teacher-std\)$/,
  );
  said.length = 0;
  await openTeacher({ path, mean, std }, { student, warn: (message) => void said.push(message) });
  expect(said.join()).not.toMatch(/assumed/);
});

const cases = new URL("../../../../../../shared/cases/", import.meta.url);
describe.skipIf(!existsSync(cases))("files that failed (need ../shared/cases)", () => {
  const ask = async (
    name: string,
    image = "slightly-bright-132.png",
  ): Promise<Awaited<ReturnType<typeof predict>>> => {
    const path = (file: string): string => fileURLToPath(new URL(file, cases));
    return predict({ checkpoint: path(`onnx/${name}`), images: [path(`pictures/${image}`)], device: "cpu" });
  };

  test("a softmax behind a cast scores as the softmax alone", async () => {
    const [cast, plain] = [await ask("softmax-cast.onnx"), await ask("softmax.onnx")];
    for (const [i, { label, score }] of (plain[0]?.predictions ?? []).entries()) {
      expect(cast[0]?.predictions[i]?.label).toBe(label);
      expect(cast[0]?.predictions[i]?.score).toBeCloseTo(score, 3); // its cast is to float16
    }
  });

  test("one sigmoid tells two classes apart", async () => {
    const scored = await Promise.all(
      ["red-middle.png", "slightly-bright-132.png"].map(async (image) =>
        ask("sigmoid-one-output.onnx", image),
      ),
    );
    for (const [one] of scored) expect(one?.predictions).toHaveLength(2);
    expect(scored[0]?.[0]?.predictions[0]).toMatchObject({ label: "class 1" });
  });

  test.each([
    ["inf.onnx", "onnx/not-finite"],
    ["lie-classes.onnx", "onnx/wrong-output"],
  ])("%s", async (name, code) => {
    await expect(ask(name)).rejects.toMatchObject({ code });
  });
});
