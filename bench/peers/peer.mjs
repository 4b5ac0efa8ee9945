// What the JavaScript peers share: their command line, DeiT's sizes and seeded parameters, the timer, the line printed.
// Weights of linear layers are [in, out] here, as both libraries multiply.
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    task: { type: "string", default: "train" },
    "batch-size": { type: "string", default: "8" },
    threads: { type: "string", default: "2" },
    seconds: { type: "string", default: "5" },
  },
});

export const task = values.task;
export const batchSize = Number(values["batch-size"]);
export const threads = Number(values.threads);
const seconds = Number(values.seconds);

/** deit_tiny_distilled_patch16_224 */
export const sizes = { dim: 192, depth: 12, heads: 3, patch: 16, size: 224, classes: 1000, tokens: 198 };
export const adamw = { lr: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.05 };

let state = 12345;
function normal(length, std) {
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let sum = -6;
    for (let k = 0; k < 12; k++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      sum += state / 2 ** 32;
    }
    values[i] = std * sum;
  }
  return values;
}

/** name → { shape, data, decay }: DeiT's initialisation and decay groups. */
export function parameters() {
  const { dim, depth, patch, classes, tokens } = sizes;
  const entries = {};
  const add = (name, shape, fill) => {
    const length = shape.reduce((a, b) => a * b, 1);
    const data = fill === undefined ? normal(length, 0.02) : new Float32Array(length).fill(fill);
    entries[name] = { shape, data, decay: shape.length > 1 && name !== "cls_token" && name !== "pos_embed" };
  };
  const linear = (name, from, to) => (add(`${name}.weight`, [from, to]), add(`${name}.bias`, [to], 0));
  const norm = (name) => (add(`${name}.weight`, [dim], 1), add(`${name}.bias`, [dim], 0));
  add("cls_token", [1, 1, dim]);
  add("dist_token", [1, 1, dim]);
  add("pos_embed", [1, tokens, dim]);
  linear("patch_embed", 3 * patch * patch, dim);
  for (let block = 0; block < depth; block++) {
    norm(`blocks.${block}.norm1`);
    linear(`blocks.${block}.qkv`, dim, 3 * dim);
    linear(`blocks.${block}.proj`, dim, dim);
    norm(`blocks.${block}.norm2`);
    linear(`blocks.${block}.fc1`, dim, 4 * dim);
    linear(`blocks.${block}.fc2`, 4 * dim, dim);
  }
  norm("norm");
  linear("head", dim, classes);
  linear("head_dist", dim, classes);
  const count = Object.values(entries).reduce((sum, { data }) => sum + data.length, 0);
  if (count !== 5_910_800) throw new Error(`DeiT-Ti⚗ has 5,910,800 parameters, these are ${count}`);
  return entries;
}

/** A batch, one-hot labels, and the same labels smoothed by 0.1. */
export function batch() {
  const { size, classes } = sizes;
  const images = normal(batchSize * 3 * size * size, 1);
  const labels = new Float32Array(batchSize * classes);
  for (let b = 0; b < batchSize; b++) labels[b * classes + ((37 * b) % classes)] = 1;
  return { images, labels, smoothed: labels.map((value) => value * 0.9 + 0.1 / classes) };
}

/** Times `step` (resolves to the loss, or nothing) by the median after two calls that warm up; prints the JSON line. */
export async function timeAndPrint({ system, version, step, notes }) {
  const losses = [await step(), await step()];
  const durations = [];
  const end = performance.now() + 1000 * seconds;
  while (durations.length < 3 || performance.now() < end) {
    const start = performance.now();
    losses.push(await step());
    durations.push(performance.now() - start);
  }
  const training = task === "train" ? { firstLoss: losses[0], lastLoss: losses.at(-1) } : {};
  if (task === "train" && !(training.lastLoss < training.firstLoss)) {
    throw new Error(`not a training step: loss ${training.firstLoss} → ${training.lastLoss}`);
  }
  const median = durations.toSorted((a, b) => a - b)[Math.floor(durations.length / 2)];
  const imagesPerSecond = (1000 * batchSize) / median;
  console.log(
    JSON.stringify({
      system,
      task,
      imagesPerSecond,
      version,
      threads,
      steps: losses.length,
      ...training,
      notes,
    }),
  );
}
