/**
 * `npm run quickstart`: the paper's story in two to six minutes on 2 idle cores. It runs the commands that a user would type, and shows them:
 * get CIFAR-10, look at a convnet teacher, train a small DeiT that learns from it, measure its three classifiers, name
 * some images that it never saw.
 */
import { spawnSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { styleText } from "node:util";
import sharp from "sharp";
import { recipe } from "../packages/deit/recipes/quickstart.ts";
import { openDatasets } from "../packages/deit/src/data/open.ts";

const RUN = "runs/quickstart";
const IMAGES = 8;

/** Shows and runs one command; ends this program as the command ended when it failed. */
function deit(title: string, ...words: string[]): void {
  console.log(`\n${styleText("bold", title)}\n${styleText("dim", `$ npx deit ${words.join(" ")}`)}`);
  const { status, signal } = spawnSync(process.execPath, ["packages/deit/src/cli/main.ts", ...words], {
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? (signal === "SIGINT" ? 130 : 1));
}

/** Saves a test image of each of the first classes as PNG, named by what it shows. */
async function saveImages(): Promise<string[]> {
  const { validation } = await openDatasets({ dataSet: "cifar10" });
  if (validation === undefined) throw new Error("CIFAR-10 has no test images");
  const folder = join(RUN, "images");
  await mkdir(folder, { recursive: true });
  const files: string[] = [];
  for (const [index, name] of validation.classes.entries()) {
    if (files.length === IMAGES) break;
    const image = await validation.read(validation.labels.indexOf(index));
    const { width, height, data } = image;
    const file = join(folder, `${name}.png`);
    await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(file);
    files.push(file);
  }
  return files;
}

const start = performance.now();
console.log(
  "A small vision transformer learns to see, taught by a convnet, on this machine: two to six minutes where two cores are idle.",
);
deit("1. Get the images: CIFAR-10, ten classes", "data", "pull", "cifar10");
const teacher = join("packages/deit/recipes", recipe.teacherPath);
deit("2. The teacher: a convnet that was trained here before", "eval", teacher, "--data-set", "cifar10");
deit(
  "3. Train a transformer from scratch; its distillation token learns from the teacher",
  "train",
  "quickstart",
);
deit("4. Measure its three classifiers on 10,000 images that it never saw", "eval", RUN);
const files = await saveImages();
deit("5. Ask it about some of them (their names tell the truth)", "predict", RUN, ...files, "--topk", "2");
const minutes = (performance.now() - start) / 60_000;
console.log(`
${styleText("bold", `Done in ${minutes.toFixed(1)} minutes.`)} In ${RUN}/:
  best.safetensors   the model, with timm's tensor names; it knows its classes and its preprocessing
  log.jsonl          loss and accuracy of every epoch
  images/            what was asked in step 5

Try next:
  npx deit train ./photos                     your own images, a folder for each class
  npx deit train regnety-cifar10              train the teacher yourself: 20 minutes
  npx deit train cifar10-small                without a teacher and longer: over 70 % right
  npx deit report runs/quickstart             curves, confusions, mistakes as one page
  npx deit train quickstart --epochs 20 --output-dir runs/longer
  npx deit --help`);
