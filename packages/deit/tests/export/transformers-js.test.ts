/** The example that people start from gives the answers of `deit predict`, in a process of its own. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { predict } from "../../src/evaluation/predict.ts";
import { exportModel } from "../../src/export/export.ts";
import { temporaryFolder, writeImage } from "../data/temporary.ts";
import { writeRandomModel } from "../helpers/random-model.ts";

const example = fileURLToPath(new URL("../../../../examples/transformers-js.mjs", import.meta.url));

test("examples/transformers-js.mjs answers an exported folder's images as deit predict does", async () => {
  const root = await temporaryFolder();
  const checkpoint = join(root, "model.safetensors");
  const classes = ["a disc", "ring", "stripes", "none of these"];
  await writeRandomModel(checkpoint, {
    model: "deit_w64d4_distilled_patch4_32",
    inputSize: 16,
    classes,
  });
  const out = join(root, "for-js");
  const { comparisons } = await exportModel({ checkpoint, format: "transformers-js", out });
  expect(comparisons.map(({ by }) => by)).toContain("transformers.js");
  // of the model's own size: resizing differs between the two, and is measured by the export
  const kinds = ["gradient", "noise", "checker"] as const;
  const images = kinds.map((kind) => join(root, `${kind}.png`));
  for (const [i, kind] of kinds.entries()) await writeImage(images[i] ?? "", 16, 16, kind);
  const own = await predict({ checkpoint, images, topk: 1, device: "cpu", threads: 1 });
  const { stdout } = await promisify(execFile)(process.execPath, [example, out, ...images]);
  expect(stdout.trim().split("\n")).toEqual(
    own.map(
      ({ image, predictions: [best] }) =>
        `${image}: ${(100 * (best?.score ?? 0)).toFixed(2)} % ${best?.label}`,
    ),
  );
});
