/** ONNX classifiers: exported ones, those of other makers, with weights in another file. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { DeitError } from "../../src/errors.ts";
import { openClassifier } from "../../src/evaluation/classifier.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { deployedModel } from "../../src/export/onnx.ts";
import { ModelProtoSchema, StringStringEntryProtoSchema } from "../../src/graph/generated/onnx_pb.ts";
import { create } from "@bufbuild/protobuf";
import { openOnnxWeights } from "../../src/interop/onnx-weights.ts";
import type { Random } from "../../src/random.ts";
import { graphFile } from "../../tests/helpers/onnx-graph.ts";
import type { Damage } from "./damage.ts";
import { damagedBytes, damagedHead, few, spotIn } from "./damage.ts";
import type { Specimen } from "./specimen.ts";

const IMAGE = { width: 16, height: 12, data: new Uint8Array(3 * 16 * 12).fill(99) };

/** Opens it, asks about an image, and reads its weights as exports and analyses do. */
async function use(folder: string): Promise<void> {
  const path = join(folder, "model.onnx");
  {
    await using classifier = await openClassifier(path, { threads: 1, device: "cpu" });
    await classifier.classify(IMAGE);
  }
  try {
    await using file = await openOnnxWeights(path);
    for (const name of [...file.tensors.keys()].slice(0, 20)) await file.readFloat32(name);
  } catch (error) {
    if (!(error instanceof DeitError)) throw error; // most classifiers of other makers keep no names
  }
}

/** Three in four as a tree of fields, else as bytes. */
const damagedModel: Damage = (bytes, random) => {
  if (random.integer(4) === 0) return damagedHead(bytes, random);
  const model = fromBinary(ModelProtoSchema, bytes);
  for (let change = few(random); change > 0; change--) {
    const spot = spotIn(model, random);
    if (spot === undefined || spot.key === "$typeName") continue;
    Reflect.set(spot.holder, spot.key, otherValue(Reflect.get(spot.holder, spot.key), random));
  }
  try {
    return toBinary(ModelProtoSchema, model);
  } catch {
    return damagedBytes(bytes, random); // no such file can be written
  }
};

const NUMBERS = [0, 1, -1, 2, 3, 7, 16, 4096, 65_537, 2 ** 31 - 1, -(2 ** 31)];
const BIGINTS = [0n, 1n, -1n, 3n, 7n, 4096n, 65_537n, 1n << 32n, (1n << 63n) - 1n, -(1n << 63n)];
const TEXTS = [
  "",
  "pixel_values",
  "matrix",
  "Loop",
  "If",
  "Softmax",
  "../x",
  "\u001b[31m",
  "__proto__",
  "x".repeat(50_000),
];

function otherValue(value: unknown, random: Random): unknown {
  const pick = <T>(list: readonly T[]): T | undefined => list[random.integer(list.length)];
  if (typeof value === "number") return pick(NUMBERS);
  if (typeof value === "bigint") return pick(BIGINTS);
  if (typeof value === "string") return pick(TEXTS);
  if (value instanceof Uint8Array)
    return random.integer(2) === 0
      ? value.subarray(0, random.integer(value.length + 1))
      : Buffer.alloc(64, 255);
  if (Array.isArray(value))
    return random.integer(2) === 0 ? value.slice(0, random.integer(value.length + 1)) : [...value, ...value];
  return undefined;
}

export async function onnxFiles(root: string, weights: Uint8Array): Promise<Specimen[]> {
  const file = join(root, "model.safetensors");
  await writeFile(file, weights);
  const loaded = await loadModel(file);
  const exported = deployedModel(loaded);
  const withPixels = deployedModel(loaded, { preprocessing: true });
  const foreign = graphFile({
    matrix: [
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
    ],
    metadata: { classes: JSON.stringify(["cat", "dog", "bird"]) },
  });
  const preprocessor = {
    size: { height: 8, width: 8 },
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
  };
  const config = { id2label: { 0: "cat", 1: "dog", 2: "bird" } };
  const beside = {
    "preprocessor_config.json": Buffer.from(JSON.stringify(preprocessor)),
    "config.json": Buffer.from(JSON.stringify(config)),
  };
  const of = (kind: string, bytes: Uint8Array, more: Specimen["beside"] = {}): Specimen => ({
    kind,
    file: "model.onnx",
    bytes,
    beside: more,
    damage: damagedModel,
    share: 0.3, // each is a session
    read: use,
  });
  return [
    of("onnx", foreign),
    of("onnx beside a configuration", foreign, beside),
    of("onnx with weights outside", ...withWeightsOutside(foreign)),
    { ...of("exported onnx", exported), share: 0.1 },
    { ...of("exported onnx that takes images", withPixels), share: 0.1 },
  ];
}

function withWeightsOutside(bytes: Uint8Array): [Uint8Array, Specimen["beside"]] {
  const model = fromBinary(ModelProtoSchema, bytes);
  const [matrix] = model.graph?.initializer ?? [];
  if (matrix === undefined) throw new Error("unreachable");
  const data = new Float32Array([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  matrix.floatData = [];
  matrix.rawData = new Uint8Array();
  matrix.dataLocation = 1;
  matrix.externalData = Object.entries({ location: "weights.bin", offset: "0", length: "36" }).map(
    ([key, value]) => create(StringStringEntryProtoSchema, { key, value }),
  );
  return [toBinary(ModelProtoSchema, model), { "weights.bin": new Uint8Array(data.buffer) }];
}
