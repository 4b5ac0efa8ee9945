/** The run of a page, trained again in Node: the same images, weights and options through onnxruntime-node. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { createRuntime } from "deit-ts/graph";
import {
  buildModel,
  createLoaders,
  fit,
  imagesInMemory,
  initialWeights,
  modelInMemory,
  runInMemory,
  weightsInMemory,
} from "deit-ts/web";
import type { Dataset, EpochRecord } from "deit-ts/web";
import { planOf } from "../src/engine/improve.ts";
import type { RunRecord } from "../src/state/improvement.ts";
import { contentId } from "../src/state/storage.ts";

/** In the page: the files of its run; bytes as Latin-1 text. */
export async function readRun(): Promise<Record<string, string>> {
  const root = await navigator.storage.getDirectory();
  const folder = await (await root.getDirectoryHandle("deit-project")).getDirectoryHandle("run");
  const files: Record<string, string> = {};
  for (const name of ["log.jsonl", "about.json", "start.safetensors"]) {
    const bytes = new Uint8Array(await (await (await folder.getFileHandle(name)).getFile()).arrayBuffer());
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192)
      text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    files[name] = text;
  }
  return files;
}

/** The log of the same run. `photos`: the folder of folders that the page was given. */
export async function trainInNode(
  files: Readonly<Record<string, string>>,
  photos: string,
): Promise<readonly EpochRecord[]> {
  const { options, training, held } = JSON.parse(files["about.json"] ?? "") as RunRecord;
  const start = Uint8Array.from(files["start.safetensors"] ?? "", (letter) => letter.charCodeAt(0));
  const paths = new Map<string, string>();
  for (const name of options.classes)
    for (let i = 0; i < 12; i++) {
      const path = join(photos, name, `${i}.jpg`);
      paths.set(await contentId(new Blob([await readFile(path)])), path);
    }
  const loaded = await modelInMemory(start);
  const plan = planOf(loaded, options, training.length);
  const { model, layout } = buildModel(plan.model, options.classes.length);
  const datasetOf = (rows: RunRecord["held"]): Dataset =>
    imagesInMemory({
      name: "photos",
      classes: options.classes,
      images: rows.map(([id, label]) => ({
        name: id,
        label,
        async image() {
          const { data, info } = await sharp(paths.get(id)).raw().toBuffer({ resolveWithObject: true });
          return { width: info.width, height: info.height, data: new Uint8Array(data) };
        },
      })),
    });
  const [images, validation] = [datasetOf(training), datasetOf(held)];
  const run = runInMemory();
  const runtime = await createRuntime({ device: "cpu", threads: 1 });
  try {
    await fit({
      plan,
      model,
      layout,
      optimizer: plan.optimizer,
      runtime,
      images,
      validationImages: validation.length,
      loaders: createLoaders(plan, { training: images, validation, size: model.config.inputSize }),
      run,
      initial: async () =>
        initialWeights({ seed: options.seed, checkpoint: weightsInMemory(start) }, { model, layout }),
    });
  } finally {
    await runtime.close();
  }
  return run.log;
}
