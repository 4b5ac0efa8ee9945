/**
 * The files that are shipped of a model, on real images: how far each is from what it was made of, and how sure that is.
 *
 *   npx node bench/deployed.ts --weights CKPT --data-path DIR [--calibration-path DIR] [--logits FILE] \
 *       [--rows pytorch,fp32,fp16,int8,js-fp32,js-fp16,js-int8] [--out results/deployed.csv]
 *
 * A row a file. `pytorch` compares our program with recorded logits (--logits, a tensor [images, classes] in the order of
 * the images); the others compare a file with our program, run as in evaluation or (js) by transformers.js with its own
 * preparation of images. `points` is the change of top-1, `low` and `high` its 95 % interval by the paired bootstrap over
 * images, `lost` and `won` the images that only one of the two gets right, `p` the exact McNemar test of these. int8's
 * ranges are from images of --calibration-path, which should be others than those of --data-path. A row is written as
 * soon as it is measured and replaces the one that is there.
 */
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { openEvaluation } from "../packages/deit/src/data/open.ts";
import { differenceInterval, resampleShares } from "../packages/deit/src/evaluation/metrics/bootstrap.ts";
import { loadModel } from "../packages/deit/src/evaluation/checkpoints/load-model.ts";
import { answersOfFile, answersOfModel, classesOf, compare } from "../packages/deit/src/export/check.ts";
import type { Answers } from "../packages/deit/src/export/check.ts";
import { deployedModel } from "../packages/deit/src/export/onnx.ts";
import { quantizedModel } from "../packages/deit/src/export/quantized.ts";
import { takeSample } from "../packages/deit/src/export/sample.ts";
import {
  answersOfPipeline,
  loadTransformersJs,
  PRECISIONS,
} from "../packages/deit/src/export/transformers-js.ts";
import type { Precision } from "../packages/deit/src/export/transformers-js.ts";
import { classNames, writeHuggingFace } from "../packages/deit/src/export/weights.ts";
import { readCheckpoint } from "../packages/deit/src/formats/safetensors-file.ts";
import { toFloat16 } from "../packages/deit/src/interop/to-float16.ts";
import { readTable, writeTable } from "../packages/lab/studies/grown-table.ts";

const ROWS = ["pytorch", "fp32", "fp16", "int8", "js-fp32", "js-fp16", "js-int8"] as const;
const COLUMNS =
  "model,dataset,file,by,against,images,acc1,points,low,high,lost,won,p,same_answer,largest_logit_difference,mb".split(
    ",",
  );
const KEYS = 5;

const { values } = parseArgs({
  options: {
    weights: { type: "string" },
    model: { type: "string" },
    "data-path": { type: "string" },
    "calibration-path": { type: "string" },
    logits: { type: "string" },
    rows: { type: "string", default: ROWS.join() },
    out: { type: "string", default: join("results", "deployed.csv") },
  },
});
const { weights, "data-path": dataPath, "calibration-path": calibrationPath, out } = values;
const wanted = values.rows.split(",");
if (weights === undefined || dataPath === undefined || !wanted.every((row) => ROWS.some((r) => r === row))) {
  console.error(`--weights CKPT --data-path DIR [--rows ${ROWS.join()}]`);
  process.exit(2);
}
const isWanted = (row: (typeof ROWS)[number]): boolean => wanted.includes(row);

const loaded = await loadModel(weights, { model: values.model });
const { model, preprocessing, metadata } = loaded;
const dataset = await openEvaluation({ dataPath, classes: metadata.classes });
const sample = await takeSample(dataset, { preprocessing, count: dataset.length });
const { labels } = sample;
const reference = await answersOfModel(loaded, sample);
const folder = await mkdtemp(join(tmpdir(), "deployed-"));

interface Measured {
  readonly file: string;
  readonly by: "deit" | "transformers.js";
  readonly against: string;
  readonly bytes: number;
  readonly before: Answers;
  readonly after: Answers;
}

/** Probability of a split of `lost + won` images at least that uneven, when each is as likely to go either way. */
function mcNemar(lost: number, won: number): number {
  const total = lost + won;
  let term = 0.5 ** total;
  let tail = 0;
  for (let k = 0; k <= Math.min(lost, won); k++) {
    tail += term;
    term *= (total - k) / (k + 1);
  }
  return Math.min(1, 2 * tail);
}

async function record({ file, by, against, bytes, before, after }: Measured): Promise<void> {
  const rightOf = (answers: Answers): number[] => {
    const classes = classesOf(answers);
    return [...labels.keys()].filter((i) => classes[i] === labels[i]);
  };
  const right = { before: rightOf(before), after: rightOf(after) };
  const [old, found] = [new Set(right.before), new Set(right.after)];
  const lost = right.before.filter((i) => !found.has(i)).length;
  const won = right.after.filter((i) => !old.has(i)).length;
  const [sharesBefore, sharesAfter] = resampleShares([right.before, right.after], labels.length, {
    resamples: 10_000,
  });
  const none = new Float64Array(1);
  const { low, high } = differenceInterval(sharesAfter ?? none, sharesBefore ?? none);
  const {
    acc1 = NaN,
    agreement,
    largestDifference = NaN,
  } = compare(before, after, { labels, file, by, bytes });
  const key = [model.name, basename(resolve(dataPath ?? "")), file, by, against];
  const table = await readTable(out, KEYS);
  table.set(key.join(), [
    ...key,
    String(labels.length),
    acc1.toFixed(4),
    ((100 * (won - lost)) / labels.length).toFixed(4),
    (100 * low).toFixed(4),
    (100 * high).toFixed(4),
    String(lost),
    String(won),
    mcNemar(lost, won).toPrecision(3),
    agreement.toFixed(2),
    largestDifference.toPrecision(3),
    (bytes / 1e6).toFixed(2),
  ]);
  const order = Object.values(PRECISIONS).map((precision) => precision.file);
  await writeTable(out, COLUMNS, table, (cells) => order.indexOf(cells[2] as (typeof order)[number]));
  console.error(table.get(key.join())?.join(" "));
}

const own = { against: "the model", before: reference };
if (isWanted("pytorch") && values.logits !== undefined) {
  const [recorded] = (await readCheckpoint(values.logits)).tensors.values();
  if (recorded?.data.length !== reference.logits.length)
    throw new Error(`${values.logits} holds no [${labels.length}, ${reference.numClasses}] logits`);
  const before = { logits: recorded.data, numClasses: reference.numClasses };
  const { size: bytes } = await stat(weights);
  const file = basename(weights);
  await record({ file, by: "deit", against: "PyTorch", bytes, before, after: reference });
}

/** Bytes of each form that is asked for; the others stay unmade. */
const forms = {
  fp32: () => Promise.resolve(deployedModel(loaded)),
  fp16: () => Promise.resolve(toFloat16(deployedModel(loaded))),
  int8: async () => {
    const calibration =
      calibrationPath === undefined ? undefined : await openEvaluation({ dataPath: calibrationPath });
    return (await quantizedModel(deployedModel(loaded), { loaded, dataset: calibration })).bytes;
  },
} satisfies Record<Precision, () => Promise<Uint8Array>>;

await writeHuggingFace(folder, loaded);
await mkdir(join(folder, "onnx"));
for (const precision of ["fp32", "fp16", "int8"] as const) {
  if (!isWanted(precision) && !isWanted(`js-${precision}`)) continue;
  const { file } = PRECISIONS[precision];
  const path = join(folder, file);
  await writeFile(path, await forms[precision]());
  const { size: bytes } = await stat(path);
  if (isWanted(precision))
    await record({ ...own, file, by: "deit", bytes, after: await answersOfFile(path, sample) });
  if (!isWanted(`js-${precision}`)) continue;
  const transformers = await loadTransformersJs();
  if (transformers === undefined) throw new Error("transformers.js is not installed");
  const after = await answersOfPipeline(transformers, folder, {
    sample,
    precision,
    classes: classNames(loaded),
  });
  await record({ ...own, file, by: "transformers.js", bytes, after });
}
await rm(folder, { recursive: true });
