/** Zero-shot classifiers from image encoders and embeddings of class names, against the formula; and what is refused. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { openClassifier } from "../../src/evaluation/classifier.ts";
import { readTextEmbeddings } from "../../src/export/text-embeddings.ts";
import { writeZeroShot } from "../../src/export/zero-shot.ts";
import { writeCheckpoint } from "../../src/formats/safetensors-file.ts";
import { taughtBy } from "../../src/export/teacher-licence.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { graphFile } from "../helpers/onnx-graph.ts";
import { writeRandomModel } from "../helpers/random-model.ts";

/** From the means of the colours to an embedding of 4. */
const MATRIX = [
  [1, 0, 2, -1],
  [0, 1, 1, 0],
  [0.5, 0, 0, 3],
];
const TEXTS = { red: [1, 0, 3, -2], green: [0, 2, 1, 0], blue: [1, 0, 0, 5] };
const PLAIN = { mean: [0, 0, 0], std: [1, 1, 1] } as const;
const COLOURS = [200, 90, 40];

let root = "";
let encoder = "";
let texts = "";
beforeAll(async () => {
  root = await temporaryFolder();
  encoder = join(root, "vision_model.onnx");
  await writeFile(encoder, graphFile({ matrix: MATRIX }));
  await writeFile(join(root, "README.md"), "---\nlicense: mit\n---\n");
  texts = join(root, "texts.json");
  await writeFile(texts, JSON.stringify(TEXTS));
});

const image = { width: 8, height: 8, data: Uint8Array.from({ length: 192 }, (_, i) => COLOURS[i % 3] ?? 0) };

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** Scores of the image for each class, by the formula. */
function expected(classes: readonly (keyof typeof TEXTS)[], scale: number): number[] {
  const means = COLOURS.map((value) => value / 255);
  const embedding = [0, 1, 2, 3].map((column) =>
    means.reduce((sum, value, row) => sum + value * (MATRIX[row]?.[column] ?? 0), 0),
  );
  const logits = classes.map((name) => scale * cosine(embedding, TEXTS[name]));
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
  return logits.map((logit) => Math.exp(logit) / total);
}

async function scores(file: string): Promise<Record<string, number>> {
  await using classifier = await openClassifier(file, { device: "cpu" });
  const answers = await classifier.classify([image, image], { topk: 9 });
  expect(answers[0]).toEqual(answers[1]);
  return Object.fromEntries((answers[0] ?? []).map(({ label, score }) => [label, score]));
}

describe("a zero-shot classifier", () => {
  test.each([
    ["of all texts", undefined, ["red", "green", "blue"]],
    ["of some, in another order", ["blue", "red"], ["blue", "red"]],
  ] as const)("%s answers by cosine times the scale", async (_, wanted, classes) => {
    const file = join(root, `${classes.join("-")}.onnx`);
    const text = await readTextEmbeddings(texts, { classes: wanted });
    await writeZeroShot({ teacher: { path: encoder, ...PLAIN }, text, logitScale: 5, file });
    const found = await scores(file);
    expect(Object.keys(found)).toHaveLength(classes.length);
    for (const [i, name] of classes.entries())
      expect(found[name]).toBeCloseTo(expected(classes, 5)[i] ?? NaN, 5);
  });

  test("takes its scale from the embeddings, else CLIP's; keeps source and licence", async () => {
    const tensors = new Map(
      Object.entries(TEXTS).map(([name, row]) => [name, { shape: [1, 4], data: Float32Array.from(row) }]),
    );
    tensors.set("logit_scale", { shape: [], data: Float32Array.of(Math.log(7)) });
    const stated = join(root, "texts.safetensors");
    await writeCheckpoint(stated, { tensors, metadata: {} });
    const classes = ["red", "green", "blue"] as const;
    for (const [path, scale] of [[stated, 7] as const, [texts, 100] as const]) {
      const file = join(root, "scaled", `${scale}.onnx`);
      const { makeFolder } = await import("../../src/formats/atomic-file.ts");
      await makeFolder(join(root, "scaled"));
      await writeZeroShot({
        teacher: { path: encoder, ...PLAIN },
        text: await readTextEmbeddings(path),
        file,
      });
      const found = await scores(file);
      for (const [i, name] of classes.entries())
        expect(found[name]).toBeCloseTo(expected(classes, scale)[i] ?? NaN, 4);
      expect(await taughtBy(file)).toEqual({ name: "vision_model.onnx", licence: "mit" });
    }
  });

  test("may be a checkpoint of this package, and gives its embedding, too", async () => {
    const path = join(root, "deit.safetensors");
    await writeRandomModel(path, { model: "deit_w64d4_patch4_32", classes: ["a", "b", "c"] });
    await using plain = await openClassifier(path, { embedding: true, device: "cpu" });
    const own = await plain.features([image]);
    const rows = { this: [...own.data], other: [...own.data].toReversed() };
    const far = join(root, "far.json");
    await writeFile(far, JSON.stringify(rows));
    const file = join(root, "deit.onnx");
    await writeZeroShot({ teacher: { path }, text: await readTextEmbeddings(far), logitScale: 10, file });
    const found = await scores(file);
    expect(found["this"]).toBeCloseTo(1 / (1 + Math.exp(10 * (cosine(rows.this, rows.other) - 1))), 4);
    await using both = await openClassifier(file, { embedding: true, device: "cpu" });
    const unit = await both.features([image]);
    expect(cosine([...unit.data], rows.this)).toBeCloseTo(1, 5);
  });

  test("is refused for embeddings of another width", async () => {
    const narrow = join(root, "narrow.json");
    await writeFile(narrow, JSON.stringify({ a: [1, 2, 3], b: [3, 2, 1] }));
    const text = await readTextEmbeddings(narrow);
    const asked = writeZeroShot({ teacher: { path: encoder }, text, file: join(root, "no.onnx") });
    await expect(asked).rejects.toMatchObject({
      code: "teacher/other-width",
      message: expect.stringContaining("have 3 numbers, those of images by vision_model.onnx 4"),
    });
  });
});

describe("text embeddings", () => {
  const write = async (content: string, name = "bad.json"): Promise<string> => {
    await writeFile(join(root, name), content);
    return join(root, name);
  };
  test.each([
    ["are not JSON", "{", "is not JSON"],
    ["are a list", "[1, 2]", "is not an object of classes"],
    ["have a text", '{"a": "1", "b": [1, 2]}', 'has no list of numbers for "a"'],
    ["are of several widths", '{"a": [1, 2], "b": [1, 2, 3]}', 'has 3 numbers for "b" and 2 for "a"'],
    ["have zeros alone", '{"a": [1, 2], "b": [0, 0]}', 'has only zeros for "b"'],
    ["are not finite", '{"a": [1, 2], "b": [1, 1e60]}', 'has numbers for "b" that are not finite'],
    ["have a scale of another kind", '{"a": [1, 2], "b": [1, 1], "logit_scale": 1000}', "logit_scale"],
  ])("that %s are refused", async (_, content, words) => {
    const file = await write(content);
    await expect(readTextEmbeddings(file)).rejects.toMatchObject({
      code: "teacher/text-embeddings",
      message: expect.stringContaining(words),
    });
  });

  test("that are not there, or lack a class, are refused", async () => {
    const missing = readTextEmbeddings(join(root, "none.json"));
    await expect(missing).rejects.toMatchObject({ code: "teacher/text-embeddings" });
    await expect(readTextEmbeddings(texts, { classes: ["red", "gren"] })).rejects.toMatchObject({
      code: "model/other-classes",
      hint: "Did you mean green?",
    });
    const one = readTextEmbeddings(texts, { classes: ["red"] });
    await expect(one).rejects.toMatchObject({ code: "model/other-classes" });
  });
});
