/** Weights that go from format to format come back bit for bit: timm's names → ours → Hugging Face's → ours → timm's. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import type { LoadedModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { writeHuggingFace, writeOwn, writeTimm } from "../../src/export/weights.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writeRandomModel } from "../helpers/random-model.ts";

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
});

/** Every stage of the way, loaded again from what was written. */
async function journey(start: string, name: string): Promise<Record<string, LoadedModel>> {
  const folder = (part: string): string => join(root, `${name}-${part}`);
  const timm = await loadModel(start);
  const file = `${folder("own")}.safetensors`;
  await writeOwn(file, timm);
  const own = await loadModel(file);
  await mkdir(folder("hf"));
  await writeHuggingFace(folder("hf"), own);
  const huggingFace = await loadModel(folder("hf"));
  const again = `${folder("again")}.safetensors`;
  await writeOwn(again, huggingFace);
  const ours = await loadModel(again);
  await mkdir(folder("timm"));
  await writeTimm(folder("timm"), ours);
  return { timm, own, huggingFace, ours, back: await loadModel(folder("timm")) };
}

function expectSame(stages: Record<string, LoadedModel>): void {
  const { timm, ...others } = stages;
  const expected = [...(timm?.tensors ?? [])];
  for (const [stage, { tensors, model, preprocessing }] of Object.entries(others)) {
    expect(model.name, stage).toBe(timm?.model.name);
    expect(model.transformer, stage).toEqual(timm?.model.transformer);
    // images of 32 pixels, which bare files would take whole, are not these
    expect({ ...preprocessing, smallWhole: true }, stage).toEqual({
      ...timm?.preprocessing,
      smallWhole: true,
    });
    expect([...tensors.keys()].sort(), stage).toEqual(expected.map(([name]) => name).sort());
    for (const [name, { shape, data }] of expected) {
      const found = tensors.get(name);
      expect(found?.shape, `${stage} ${name}`).toEqual(shape);
      expect(bitsOf(found?.data).equals(bitsOf(data)), `${stage} ${name}`).toBe(true);
    }
  }
}

function bitsOf(data: Float32Array = new Float32Array()): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

test.each(["deit_w64d4_patch4_32", "deit_w64d4_distilled_patch4_32"])("%s", async (model) => {
  const named = join(root, `${model}.safetensors`);
  await writeRandomModel(named, { model, inputSize: 16, classes: ["a", "b", "c"] });
  const { tensors } = await loadModel(named);
  // values that a detour through text, halves or arithmetic would change
  const odd = tensors.get("pos_embed")?.data;
  odd?.set([-0, 1e-40, Math.fround(1 / 3), -3.4e38]);
  const first = await loadModel(named);
  await mkdir(join(root, model));
  await writeTimm(join(root, model), { ...first, tensors });
  const stages = await journey(join(root, model), model);
  expect(stages["timm"]?.tensors.get("pos_embed")?.data.subarray(0, 4)).toEqual(odd?.subarray(0, 4));
  expectSame(stages);
});

const weights = fileURLToPath(
  new URL("../../../../../shared/data/deit_tiny_patch16_224/model.safetensors", import.meta.url),
);
describe.skipIf(!existsSync(weights))("real weights (needs ../shared/data)", () => {
  test("the published DeiT-Ti", async () => {
    const stages = await journey(weights, "tiny");
    expect(stages["back"]?.tensors.size).toBe(152);
    expectSame(stages);
  });
});
