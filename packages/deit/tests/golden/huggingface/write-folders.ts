/** Writes our exports of the seeded models of ours.ts into a folder, for record.py beside this file. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { huggingFaceConfig, timmConfig } from "../../../src/formats/huggingface.ts";
import { timmModel } from "../../../src/export/timm.ts";
import { huggingFaceTensors } from "../../../src/formats/key-maps.ts";
import { preprocessorConfig } from "../../../src/formats/preprocessor.ts";
import { writeCheckpoint } from "../../../src/formats/safetensors-file.ts";
import { OURS, seededWeights } from "./ours.ts";

const [root] = process.argv.slice(2);
if (root === undefined) throw new Error("npx node tests/golden/huggingface/write-folders.ts FOLDER");
const write = (folder: string, name: string, content: unknown): Promise<void> =>
  writeFile(join(folder, name), `${JSON.stringify(content, undefined, 2)}\n`);

for (const { name, model, classes, preprocessing, timmName } of OURS) {
  const folder = join(root, name);
  await mkdir(folder, { recursive: true });
  const tensors = seededWeights(model);
  const { distilled } = model.config;
  const metadata = { format: "pt" };
  await writeCheckpoint(join(folder, "model.safetensors"), {
    tensors: huggingFaceTensors(tensors, { distilled }),
    metadata,
  });
  await write(folder, "config.json", huggingFaceConfig(model.config, { classes }));
  await write(folder, "preprocessor_config.json", preprocessorConfig(preprocessing));
  if (timmName === undefined) continue;
  const timm = join(folder, "timm");
  await mkdir(timm, { recursive: true });
  await writeCheckpoint(join(timm, "model.safetensors"), { tensors, metadata });
  await write(timm, "config.json", timmConfig(timmModel(model), { ...preprocessing, classes }));
}
