/**
 * Accuracy of weights against the resolution at test time (§4 "Fine-tuning at different resolution"): position embeddings are
 * interpolated, nothing is trained.
 *
 *   npx node --conditions=deit-source packages/lab/studies/resolution.ts "DeiT-Ti" --checkpoint CKPT --data-path DIR --sizes 128,160,192,224,256,288,320,384
 *
 * Rows go into results/resolution.csv, under the name; --made-for says at which size the weights were trained, where they do
 * not say it themselves.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { evaluate as evaluateCheckpoint } from "deit-ts";
import { readTable, writeTable } from "./grown-table.ts";

const {
  values,
  positionals: [name],
} = parseArgs({
  allowPositionals: true,
  options: {
    checkpoint: { type: "string" },
    "data-path": { type: "string" },
    sizes: { type: "string", default: "128,160,192,224,256,288,320,384" },
    "made-for": { type: "string", default: "224" },
    results: { type: "string", default: "results" },
  },
});
const { checkpoint, "data-path": dataPath } = values;
if (name === undefined || checkpoint === undefined || dataPath === undefined) {
  console.error("NAME --checkpoint CKPT --data-path DIR [--sizes 160,224] [--made-for 224]");
  process.exit(2);
}

const COLUMNS = ["weights", "made_for", "pixels", "images", "acc1", "acc5"];
const file = join(values.results, "resolution.csv");
for (const size of values.sizes.split(",")) {
  const { acc1, acc5, images } = await evaluateCheckpoint({ checkpoint, dataPath, inputSize: Number(size) });
  const table = await readTable(file, 3);
  const key = [name, values["made-for"], size];
  table.set(key.join(), [...key, String(images), acc1.toFixed(2), acc5.toFixed(2)]);
  const order = [...table.values()].map(([weights = ""]) => weights);
  await writeTable(
    file,
    COLUMNS,
    table,
    ([weights = "", , pixels]) => 1e4 * order.indexOf(weights) + Number(pixels),
  );
  console.error(`${name} at ${size} pixels: ${acc1.toFixed(2)} %`);
}
