/** ONNX files made to be slow, large or to read what they should not: refused before anything of them runs. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { create, toBinary } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, test } from "vitest";
import { openClassifier } from "../../../src/evaluation/classifier.ts";
import { inspectOnnx } from "../../../src/evaluation/onnx/onnx-inspection.ts";
import type { TensorProto } from "../../../src/graph/generated/onnx_pb.ts";
import { ModelProtoSchema, TensorProtoSchema } from "../../../src/graph/generated/onnx_pb.ts";
import { temporaryFolder } from "../../data/temporary.ts";
import type { Step } from "../../helpers/onnx-graph.ts";
import { floats, graph, graphFile, integers } from "../../helpers/onnx-graph.ts";

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
  await writeFile(join(root, "secret"), new Uint8Array(12));
});

const MATRIX = [
  [1, 2],
  [0, 1],
  [2, 0],
];
const ANSWER: Step = ["Identity", ["scores"], "answers"];
const outside = (name: string): TensorProto =>
  create(TensorProtoSchema, {
    name,
    dims: [3n],
    dataType: 1,
    dataLocation: 1,
    externalData: [{ key: "location", value: "secret" }],
  });
const file = (tail: readonly Step[], constants: readonly TensorProto[] = []): Uint8Array =>
  graphFile({ matrix: MATRIX, tail: [...tail, ANSWER], constants });
const huge = (name: string, dims: readonly number[]): TensorProto =>
  create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: 1, rawData: new Uint8Array(4) });
const branch = graph([["Constant", [], "x", { value: outside("y") }]], ["x"]);
const body = graph([["Identity", ["scores"], "z"]], ["z"]);

/** Graphs inside graphs, so deep. */
function nested(depth: number): Step {
  let inner = graph([["Identity", ["scores"], "z"]], ["z"]);
  for (let i = 0; i < depth; i++) inner = graph([["If", ["c"], "z", { then_branch: inner }]], ["z"]);
  return ["If", ["c"], "z", { then_branch: inner }];
}

test.each<[string, Uint8Array, RegExp]>([
  [
    "a constant of another file",
    file([["Constant", [], "x", { value: outside("y") }]]),
    /weights of another file inside/,
  ],
  [
    "a branch with one",
    file([["If", ["c"], "x", { then_branch: branch, else_branch: branch }]]),
    /weights of another file inside/,
  ],
  [
    "a weight of a branch in another file",
    file([["If", ["c"], "x", { then_branch: graph([["Identity", ["y"], "x"]], ["x"], [outside("y")]) }]]),
    /weights of another file inside/,
  ],
  ["a loop", file([["Loop", ["n", "c"], "x", { body }]]), /repeats a part of itself \(Loop\)/],
  ["a scan", file([["Scan", ["scores"], "x", { body }]]), /\(Scan\)/],
  [
    "a loop in a branch",
    file([["If", ["c"], "x", { then_branch: graph([["Loop", ["n", "c"], "x", { body }]], ["x"]) }]]),
    /\(Loop\)/,
  ],
  ["graphs too deep", file([nested(40)]), /graphs inside graphs/],
  [
    "ConstantOfShape",
    file([["ConstantOfShape", ["n"], "x"]], [integers("n", [100_000, 100_000])]),
    /1\.00e\+10 times one element \(ConstantOfShape\)/,
  ],
  [
    "ConstantOfShape of a Constant",
    file([
      ["Constant", [], "n", { value: integers("", [2 ** 40]) }],
      ["ConstantOfShape", ["n"], "x"],
    ]),
    /ConstantOfShape/,
  ],
  [
    "ConstantOfShape of products of constants",
    file(
      [
        ["Mul", ["n", "n"], "m"],
        ["Concat", ["m", "m"], "k", { axis: 0 }],
        ["ConstantOfShape", ["k"], "x"],
      ],
      [integers("n", [5000])],
    ),
    /ConstantOfShape/,
  ],
  ["Expand", file([["Expand", ["scores", "n"], "x"]], [integers("n", [65_536, 65_536])]), /\(Expand\)/],
  [
    "Tile",
    file([["Tile", ["scores", "n"], "x"]], [integers("n", [1000, 1000])]),
    /1\.00e\+6 times its input \(Tile\)/,
  ],
  [
    "Resize by sizes",
    file([["Resize", ["pixel_values", "", "", "n"], "x"]], [integers("n", [1, 3, 99_999, 99_999])]),
    /\(Resize\)/,
  ],
  [
    "Resize by scales",
    file([["Resize", ["pixel_values", "", "s"], "x"]], [floats("s", [4], [1, 1, 1e4, 1e4])]),
    /\(Resize\)/,
  ],
  [
    "Pad",
    file([["Pad", ["pixel_values", "n"], "x"]], [integers("n", [0, 0, 9999, 9999, 0, 0, 9999, 9999])]),
    /\(Pad\)/,
  ],
  [
    "Range",
    file(
      [["Range", ["a", "b", "c"], "x"]],
      [floats("a", [], [0]), floats("b", [], [1e12]), floats("c", [], [1])],
    ),
    /\(Range\)/,
  ],
  ["OneHot", file([["OneHot", ["i", "d", "v"], "x"]], [integers("d", [10 ** 10])]), /\(OneHot\)/],
  ["RandomNormal", file([["RandomNormal", [], "x", { shape: [100_000, 100_000] }]]), /\(RandomNormal\)/],
  [
    "padding of a pool",
    file([
      ["MaxPool", ["pixel_values"], "x", { kernel_shape: [1, 1], pads: [99_999, 99_999, 99_999, 99_999] }],
    ]),
    /\(MaxPool\)/,
  ],
  [
    "strides of a transposed convolution",
    file([["ConvTranspose", ["pixel_values", "w"], "x", { strides: [9999, 9999] }]]),
    /\(ConvTranspose\)/,
  ],
  [
    "a weight of no bytes",
    file([], [huge("w", [65_536, 65_536])]),
    /a weight of 4294967296 elements in \d+ bytes/,
  ],
  [
    "a constant of no bytes",
    file([["Constant", [], "x", { value: huge("", [2 ** 33]) }]]),
    /a weight of 8589934592 elements/,
  ],
])("%s", async (_, bytes, problem) => {
  expect(inspectOnnx(bytes)?.problem).toMatch(problem);
  const path = join(root, "model.onnx");
  await writeFile(path, bytes);
  await expect(openClassifier(path)).rejects.toMatchObject({ code: "onnx/refused" });
});

test("a function with a loop", () => {
  const shell = graphFile({ matrix: MATRIX });
  // field 25, functions { node { op_type: "Loop" } }
  const loop = new TextEncoder().encode("Loop");
  const node = Uint8Array.of(4 * 8 + 2, loop.length, ...loop);
  const message = Uint8Array.of(7 * 8 + 2, node.length, ...node);
  const bytes = Uint8Array.of(...shell, 0xca, 0x01, message.length, ...message);
  expect(inspectOnnx(bytes)?.problem).toMatch(/\(Loop\)/);
});

test("a sparse weight that would be huge", () => {
  const dims = Uint8Array.of(3 * 8, 0x80, 0x80, 0x80, 0x80, 0x10); // 2³²
  const sparse = Uint8Array.of(15 * 8 + 2, dims.length, ...dims);
  const shell = toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 9n }));
  const bytes = Uint8Array.of(...shell, 7 * 8 + 2, sparse.length, ...sparse);
  expect(inspectOnnx(bytes)?.problem).toMatch(/a sparse weight/);
});

test.each<[string, readonly Step[], (readonly TensorProto[])?]>([
  ["a branch", [["If", ["c"], "x", { then_branch: body, else_branch: body }]]],
  ["sizes of ordinary models", [["ConstantOfShape", ["n"], "x"]], [integers("n", [1, 197, 768])]],
  ["a shape with what is known otherwise", [["Expand", ["scores", "n"], "x"]], [integers("n", [-1, 1, 197])]],
  ["doubled resolution", [["Resize", ["pixel_values", "", "s"], "x"]], [floats("s", [4], [1, 1, 2, 2])]],
  [
    "sizes that only a run knows",
    [
      ["Shape", ["scores"], "n"],
      ["ConstantOfShape", ["n"], "x"],
    ],
  ],
])("%s is accepted", (_, tail, constants = []) => {
  expect(inspectOnnx(file(tail, constants))).toBeUndefined();
});

const shared = new URL("../../../../../../shared/", import.meta.url);
describe.skipIf(!existsSync(shared))("files of ../shared", () => {
  test("a constant of a key beside it", async () => {
    const path = fileURLToPath(new URL("cases/onnx/onnx-constant-external.onnx", shared));
    await expect(openClassifier(path)).rejects.toMatchObject({ code: "onnx/refused" });
  });

  test.each(["mobilenet_v1_075_224", "resnet56_cifar10"])("%s is accepted", async (name) => {
    await using classifier = await openClassifier(fileURLToPath(new URL(`data/${name}/model.onnx`, shared)));
    expect(classifier.numClasses).toBeGreaterThan(9);
  });
});
