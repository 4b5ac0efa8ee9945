/** Which embedding of an ONNX file is taken, whatever exporter wrote it, and that it is the one. */
import { create, toBinary } from "@bufbuild/protobuf";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { ModelProtoSchema } from "../../../src/graph/generated/onnx_pb.ts";
import { openClassifier } from "../../../src/evaluation/classifier.ts";
import { writeZeroShot } from "../../../src/export/zero-shot.ts";
import { temporaryFolder } from "../../data/temporary.ts";

type Axes = readonly (number | string)[];

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
});

const value = (name: string, dims: Axes): object => ({
  name,
  type: {
    value: {
      case: "tensorType",
      value: {
        elemType: 1,
        shape: {
          dim: dims.map((dim) => ({
            value:
              typeof dim === "number"
                ? { case: "dimValue", value: BigInt(dim) }
                : { case: "dimParam", value: dim },
          })),
        },
      },
    },
  },
});

/**
 * Means of the colours [B, 3], by GlobalAveragePool and Flatten, as `pooled`; the outputs are made of them by the nodes.
 * Images [B, 3, 4, 4].
 */
async function write(
  name: string,
  {
    nodes = [],
    outputs,
    initializer = [],
  }: {
    nodes?: readonly object[];
    outputs: readonly object[];
    initializer?: readonly object[];
  },
): Promise<string> {
  const graph = {
    name: "encoder",
    node: [
      { opType: "GlobalAveragePool", input: ["pixel_values"], output: ["means"] },
      { opType: "Flatten", input: ["means"], output: ["pooled"] },
      ...nodes,
    ],
    input: [value("pixel_values", ["batch", 3, 4, 4])],
    output: outputs,
    initializer,
  };
  const model = { irVersion: 9n, opsetImport: [{ domain: "", version: 17n }], graph };
  const file = join(root, `${name}.onnx`);
  await writeFile(file, toBinary(ModelProtoSchema, create(ModelProtoSchema, model as object)));
  return file;
}

const identity = (from: string, to: string): object => ({ opType: "Identity", input: [from], output: [to] });
const IMAGE = { width: 4, height: 4, data: new Uint8Array(48).map((_, i) => [200, 100, 50][i % 3] ?? 0) };
const mean = [0, 0, 0] as const;
const std = [1, 1, 1] as const;

async function features(file: string): Promise<{ row: number[]; width: number; notes: string }> {
  const options = { embedding: true, preprocessing: { mean, std }, device: "cpu" } as const;
  await using classifier = await openClassifier(file, options);
  const { data, width } = await classifier.features([IMAGE, IMAGE]);
  expect(data.length).toBe(2 * width);
  return { row: [...data.subarray(width)], width, notes: classifier.notes.join() };
}

const COLOURS = [200 / 255, 100 / 255, 50 / 255];
const expectRow = (row: readonly number[], expected: readonly number[]): void => {
  expect(row.length).toBe(expected.length);
  for (const [i, x] of row.entries()) expect(x).toBeCloseTo(expected[i] ?? NaN, 5);
};

describe("the embedding of an ONNX file", () => {
  test("is the output that is called so, beside others", async () => {
    const file = await write("clip", {
      nodes: [identity("pooled", "image_embeds"), { opType: "Neg", input: ["pooled"], output: ["other"] }],
      outputs: [value("other", ["batch", 3]), value("image_embeds", ["batch", 3])],
    });
    const { row, notes } = await features(file);
    expectRow(row, COLOURS);
    expect(notes).not.toContain("embedding is");
  });

  test("is the class token of the last hidden state", async () => {
    const file = await write("dinov2", {
      // tokens [B, 2, 3]: the colours, and the colours negated
      nodes: [
        { opType: "Neg", input: ["pooled"], output: ["negated"] },
        {
          opType: "Concat",
          input: ["pooled", "negated"],
          output: ["flat"],
          attribute: [{ name: "axis", type: 2, i: 1n }],
        },
        { opType: "Reshape", input: ["flat", "shape"], output: ["last_hidden_state"] },
      ],
      outputs: [value("last_hidden_state", ["batch", "tokens", 3])],
      initializer: [{ name: "shape", dataType: 7, dims: [3n], int64Data: [0n, 2n, 3n] }],
    });
    const { row, notes } = await features(file);
    expectRow(row, COLOURS);
    expect(notes).toContain("its embedding is the class token of last_hidden_state");
  });

  test("is what a classifier reads", async () => {
    const file = await write("classifier", {
      nodes: [{ opType: "Gemm", input: ["pooled", "weight"], output: ["scores"] }],
      outputs: [value("scores", ["batch", 2])],
      initializer: [{ name: "weight", dataType: 1, dims: [3n, 2n], floatData: [1, 0, 0, 1, 1, 1] }],
    });
    const { row, notes } = await features(file);
    expectRow(row, COLOURS);
    expect(notes).toContain("what its classifier reads (pooled)");
  });

  test("is what a classifier reads that is a convolution, as rows", async () => {
    const file = await write("convolution", {
      nodes: [
        { opType: "Conv", input: ["means", "weight"], output: ["maps"] },
        { opType: "Flatten", input: ["maps"], output: ["logits"] },
      ],
      outputs: [value("logits", ["batch", 2])],
      initializer: [{ name: "weight", dataType: 1, dims: [2n, 3n, 1n, 1n], floatData: [1, 0, 0, 1, 1, 1] }],
    });
    const { row, width } = await features(file);
    expect(width).toBe(3);
    expectRow(row, COLOURS);
    const text = {
      classes: ["a", "b"],
      data: Float32Array.of(...COLOURS, 1, -1, 0),
      width: 3,
      logitScale: 9,
    };
    const zeroShot = join(root, "zero-shot.onnx");
    await writeZeroShot({ teacher: { path: file, mean, std }, text, file: zeroShot });
    await using classifier = await openClassifier(zeroShot, { device: "cpu" });
    const [best] = await classifier.classify(IMAGE);
    expect(best?.label).toBe("a");
    expect(best?.score).toBeGreaterThan(0.99);
    const length = Math.hypot(...COLOURS);
    expectRow(
      (await features(zeroShot)).row,
      COLOURS.map((x) => x / length),
    ); // which stands behind an added output already
  });

  test("is an only output that is not a classifier's, with a word about it", async () => {
    const file = await write("encoder", {
      nodes: [identity("pooled", "vector")],
      outputs: [value("vector", ["batch", 3])],
    });
    const { row, notes } = await features(file);
    expectRow(row, COLOURS);
    expect(notes).toContain("its output vector is taken as the embedding");
  });

  test.each([
    ["scores without a layer before them", [identity("pooled", "logits")], [value("logits", ["batch", 3])]],
    [
      "several outputs of unknown names",
      [identity("pooled", "a"), identity("pooled", "b")],
      [value("a", ["batch", 3]), value("b", ["batch", 3])],
    ],
  ])("is not there: %s", async (name, nodes, outputs) => {
    const file = await write(name.split(" ")[0] ?? "", { nodes, outputs });
    await expect(features(file)).rejects.toMatchObject({ code: "teacher/no-embedding" });
  });

  test("that is not finite is refused", async () => {
    const file = await write("log", {
      nodes: [
        { opType: "Neg", input: ["pooled"], output: ["negated"] },
        { opType: "Log", input: ["negated"], output: ["image_embeds"] },
      ],
      outputs: [value("image_embeds", ["batch", 3])],
    });
    await expect(features(file)).rejects.toMatchObject({ code: "onnx/not-finite" });
  });
});
