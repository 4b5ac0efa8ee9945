/** What foreign models return: logits, probabilities of every form, one number, and what is no answer at all. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { openTeacher } from "../../../src/distillation/teacher.ts";
import { openClassifier } from "../../../src/evaluation/classifier.ts";
import { predict } from "../../../src/evaluation/predict.ts";
import { writeCheckpoint } from "../../../src/formats/safetensors-file.ts";
import { createModel } from "../../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../../src/nn/parameters.ts";
import { createRandom } from "../../../src/random.ts";
import { temporaryFolder } from "../../data/temporary.ts";
import { sharedRuntime } from "../../helpers/devices.ts";
import type { GraphFile, Step } from "../../helpers/onnx-graph.ts";
import { floats, graphFile, integers } from "../../helpers/onnx-graph.ts";

const MATRIX = [
  [3, -1, 0.5],
  [-2, 2, 1],
  [0.5, 0.5, -3],
];
const COLUMN = [[4], [-4], [1]];

let root = "";
let count = 0;
beforeAll(async () => {
  root = await temporaryFolder();
});

async function write(file: GraphFile, classes?: readonly string[]): Promise<string> {
  const path = join(root, `${count++}.onnx`);
  const metadata = classes && { classes: JSON.stringify(classes) };
  await writeFile(path, graphFile({ ...file, ...(metadata && { metadata }) }));
  return path;
}

const IMAGES = 5;
const random = createRandom(1);
const pixels = Uint8Array.from({ length: IMAGES * 3 }, () => random.integer(256)).reduce<number[]>(
  (all, value) => [...all, ...Array.from({ length: 64 }, () => value)],
  [],
);
const mean: readonly [number, number, number] = [0, 0, 0];
const std: readonly [number, number, number] = [1, 1, 1];

/** The scores [n, K] of the matrix, in float64. */
function scores(matrix: readonly (readonly number[])[]): number[][] {
  return Array.from({ length: IMAGES }, (_, row) => {
    const means = [0, 1, 2].map((channel) => (pixels[(row * 3 + channel) * 64] ?? 0) / 255);
    return (matrix[0] ?? []).map((_, k) => means.reduce((sum, x, i) => sum + x * (matrix[i]?.[k] ?? 0), 0));
  });
}

function softmax(row: readonly number[]): number[] {
  const exp = row.map(Math.exp);
  const total = exp.reduce((sum, value) => sum + value, 0);
  return exp.map((value) => value / total);
}

/** What the opened file's logits are as probabilities, and its notes. */
async function answered(
  file: string,
): Promise<{ shares: number[][]; notes: readonly string[]; labels: readonly string[] }> {
  await using classifier = await openClassifier(file, {
    device: "cpu",
    preprocessing: { mean, std, cropRatio: 1 },
  });
  const { class: logits } = await classifier.logits(Uint8Array.from(pixels));
  const { numClasses, notes, labels } = classifier;
  const shares = Array.from({ length: IMAGES }, (_, i) =>
    softmax([...logits.subarray(i * numClasses, (i + 1) * numClasses)]),
  );
  return { shares, notes, labels };
}

function expectClose(found: readonly number[][], expected: readonly number[][], off = 1e-5): void {
  expect(found.length).toBe(expected.length);
  for (const [i, row] of expected.entries())
    for (const [k, value] of row.entries())
      expect(Math.abs((found[i]?.[k] ?? NaN) - value)).toBeLessThan(off);
}

const last = (...steps: Step[]): Step[] => [["Softmax", ["scores"], "p", { axis: 1 }], ...steps];
const FLOAT16 = 10;
const DOUBLE = 11;

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
    expect(notes).toEqual(sigmoid ? [expect.stringMatching(/scores each class by itself \(sigmoid\)/)] : []);
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
    expect(notes).toEqual([expect.stringMatching(/scores each class by itself/)]);
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
    expect(notes).toEqual([expect.stringMatching(/taken as that of the second of two classes/)]);
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
      expect.stringMatching(/one logit for each image: it is taken as that of the second/),
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
    message: expect.stringMatching(/returns the largest scores alone \(TopK\)/),
  });
});

test("a model of ours whose arithmetic overflows", async () => {
  const model = createModel("deit_w64d4_patch4_32", { numClasses: 3 });
  const vectors = initialVectors(modelLayout(model), createRandom(0));
  const tensors = unpackTensors(modelLayout(model), vectors);
  for (const name of ["norm.weight", "head.weight"])
    for (const i of tensors.get(name)?.data.keys() ?? []) tensors.get(name)?.data.fill(1e30, i, i + 1);
  const path = join(root, "overflows.safetensors");
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

test("a teacher without a mean is told by the teacher's flags", async () => {
  const path = await write({ matrix: MATRIX });
  const student = { numClasses: 3, classes: undefined };
  const said: string[] = [];
  await openTeacher({ path }, { student, warn: (message) => void said.push(message) });
  expect(said[0]).toMatch(
    /^teacher: .*onnx does not say its mean and std: assumed ImageNet's mean and std \(--teacher-mean, --teacher-std\)$/,
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
