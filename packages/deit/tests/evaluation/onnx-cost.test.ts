/** Parameters and multiply-accumulates of ONNX files: those of our own convnets, and of real files. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { onnxCost } from "../../src/evaluation/onnx/onnx-cost.ts";
import { loadOnnxModel } from "../../src/evaluation/onnx/third-party-model.ts";
import { deployedProgram } from "../../src/models/deploy.ts";
import { countParameters, createModel } from "../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { FLOAT32, onnxFile } from "../helpers/onnx-file.ts";

async function costOfOurs(name: string, batchSize: number): ReturnType<typeof onnxCost> {
  const model = createModel(name);
  const file = join(await temporaryFolder(), "model.onnx");
  const layout = modelLayout(model);
  const weights = unpackTensors(layout, initialVectors(layout, createRandom(0, "weights")));
  const program = deployedProgram(model, weights, { batchSize, target: "cpu" });
  await writeFile(file, program.model);
  return onnxCost(await loadOnnxModel(file));
}

test.each(["resnet20_cifar", "regnety_w32d9_32"])(
  "%s, deployed: its own multiply-accumulates",
  async (name) => {
    const model = createModel(name);
    const cost = await costOfOurs(name, 2);
    // In the file, shortcuts between widths are 1 × 1 convolutions with constants; of the model's work they are none.
    const moved = name === "resnet20_cifar" ? 16 ** 2 * 32 * 16 + 8 ** 2 * 64 * 32 : 0;
    expect(cost.macs).toBe(model.macs + moved);
    if (name !== "resnet20_cifar") return; // others have constants beside their parameters
    // γ and β of the norms are folded to a scale and a shift: as many numbers
    expect(Math.abs(cost.parameters / countParameters(model) - 1)).toBeLessThan(0.02);
  },
);

test("a file with an operation that no rule counts has no multiply-accumulates", async () => {
  const file = join(await temporaryFolder(), "odd.onnx");
  const shapes = { inputs: { x: [FLOAT32, [1, 3, 8, 8]] }, outputs: { logits: [FLOAT32, [1, 3]] } } as const;
  const attributes = { equation: "bchw->bc" };
  await writeFile(file, onnxFile({ ...shapes, operation: "Einsum", attributes }));
  expect(await onnxCost(await loadOnnxModel(file))).toEqual({ parameters: 0, macs: null });
});

const data = new URL("../../../../../shared/data/", import.meta.url);
describe.skipIf(!existsSync(data))("real files (needs ../shared/data)", () => {
  test.each([
    ["mobilenet_v1_075_224", 325_400_448, 2_577_358], // the paper of MobileNet: 325 million, 2.6 million
    ["resnet56_cifar10", createModel("resnet56_cifar").macs, 850_986], // 853,018 before its norms were folded
  ])("%s", async (name, macs, parameters) => {
    const model = await loadOnnxModel(fileURLToPath(new URL(`${name}/model.onnx`, data)));
    expect(await onnxCost(model)).toEqual({ macs, parameters });
  });
});
