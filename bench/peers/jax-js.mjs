// DeiT-Ti⚗ in jax-js on its WASM backend: forward, or a training step (forward, backward, AdamW), each one jit program.
// jax-js starts threads when the global `Worker` of browsers exists; Node has worker_threads, so they are joined here.
import { resolveObjectURL } from "node:buffer";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Worker as NodeWorker } from "node:worker_threads";
import { adamw, batch, batchSize, parameters, sizes, task, threads, timeAndPrint } from "./peer.mjs";

/** The part of the browser's Worker that jax-js uses: a module from a blob, messages both ways. */
class BlobWorker {
  #worker;
  constructor(url) {
    this.#worker = resolveObjectURL(url)
      .text()
      .then((source) => {
        const prelude = `const { parentPort } = require("node:worker_threads");
          const self = { set onmessage(listener) { parentPort.on("message", (data) => listener({ data })); } };
          const postMessage = (data) => parentPort.postMessage(data);`;
        const worker = new NodeWorker(prelude + source, { eval: true });
        worker.unref();
        worker.on("message", (data) => this.onmessage?.({ data }));
        worker.on("error", (error) => this.onerror?.(error));
        return worker;
      });
  }
  postMessage(data) {
    void this.#worker.then((worker) => worker.postMessage(data));
  }
}
if (threads > 1) globalThis.Worker = BlobWorker;
Object.defineProperty(globalThis.navigator, "hardwareConcurrency", { value: threads });

const {
  blockUntilReady,
  defaultDevice,
  init,
  jit,
  nn,
  numpy: np,
  tree,
  valueAndGrad,
} = await import("@jax-js/jax");
await init("wasm");
defaultDevice("wasm");
const packageFile = join(dirname(createRequire(import.meta.url).resolve("@jax-js/jax")), "../package.json");
const { version } = JSON.parse(readFileSync(packageFile, "utf8"));

const { dim, depth, heads, patch, size, tokens } = sizes;
const grid = size / patch;

// Every function takes ownership of its arguments: `.ref` where a value is used again.
const linear = (x, p, name) => np.matmul(x, p[`${name}.weight`].ref).add(p[`${name}.bias`].ref);
const norm = (x, p, name) =>
  nn.standardize(x, -1, { epsilon: 1e-6 }).mul(p[`${name}.weight`].ref).add(p[`${name}.bias`].ref);

// Attention's gradient takes five times as long where the number of tokens is no multiple of 4, so training pads its 198 to
// 200, masked as keys. The forward pass gains next to nothing and is left as it is.
const padded = task === "train" ? Math.ceil(tokens / 4) * 4 : tokens;
const mask = Float32Array.from({ length: padded }, (_, key) => (key < tokens ? 0 : -1e9));

function attention(x, p, block) {
  const parts = linear(x, p, `${block}.qkv`).reshape([batchSize, padded, 3, heads, dim / heads]);
  const [q, k, v] = [parts.ref.slice([], [], 0), parts.ref.slice([], [], 1), parts.slice([], [], 2)];
  const options = padded > tokens ? { bias: np.array(mask).reshape([1, 1, 1, padded]) } : {};
  const mixed = nn.dotProductAttention(q, k, v, options).reshape([batchSize, padded, dim]);
  return linear(mixed, p, `${block}.proj`);
}

function forward(p, images) {
  const patches = images
    .reshape([batchSize, 3, grid, patch, grid, patch])
    .transpose([0, 2, 4, 1, 3, 5])
    .reshape([batchSize, grid * grid, 3 * patch * patch]);
  const [cls, dist] = ["cls_token", "dist_token"].map((name) =>
    np.broadcastTo(p[name].ref, [batchSize, 1, dim]),
  );
  let x = np.concatenate([cls, dist, linear(patches, p, "patch_embed")], 1).add(p["pos_embed"].ref);
  if (padded > tokens)
    x = np.pad(x, [
      [0, 0],
      [0, padded - tokens],
      [0, 0],
    ]);
  for (let i = 0; i < depth; i++) {
    const block = `blocks.${i}`;
    x = x.ref.add(attention(norm(x, p, `${block}.norm1`), p, block));
    const hidden = nn.gelu(linear(norm(x.ref, p, `${block}.norm2`), p, `${block}.fc1`), {
      approximate: false,
    });
    x = x.add(linear(hidden, p, `${block}.fc2`));
  }
  x = norm(x, p, "norm");
  const logits = [linear(x.ref.slice([], 0), p, "head"), linear(x.slice([], 1), p, "head_dist")];
  tree.dispose(p);
  return logits;
}

function lossOf(p, images, labels, smoothed) {
  const [classLogits, distLogits] = forward(p, images);
  const classLoss = nn.logSoftmax(classLogits).mul(smoothed).sum();
  return classLoss.add(nn.logSoftmax(distLogits).mul(labels).sum()).mul(-0.5 / batchSize);
}

const initial = parameters();
const update = jit((p, m, v, scale1, scale2, images, labels, smoothed) => {
  const [loss, gradient] = valueAndGrad(lossOf)(tree.ref(p), images, labels, smoothed);
  const [nextP, nextM, nextV] = [{}, {}, {}];
  for (const name of Object.keys(initial)) {
    const g = gradient[name];
    const first = m[name].mul(adamw.beta1).add(g.ref.mul(1 - adamw.beta1));
    const second = v[name].mul(adamw.beta2).add(np.square(g).mul(1 - adamw.beta2));
    const denominator = np.sqrt(second.ref.mul(scale2.ref)).add(adamw.eps);
    const move = first.ref.mul(scale1.ref).div(denominator).mul(adamw.lr);
    nextP[name] = p[name].mul(1 - (initial[name].decay ? adamw.lr * adamw.weightDecay : 0)).sub(move);
    nextM[name] = first;
    nextV[name] = second;
  }
  tree.dispose([scale1, scale2]);
  return [loss, nextP, nextM, nextV];
});
const infer = jit((p, images) => {
  const [classLogits, distLogits] = forward(p, images);
  return classLogits.add(distLogits).mul(0.5);
});

const { classes } = sizes;
const { images, labels, smoothed } = batch();
const inputs = {
  images: np.array(images).reshape([batchSize, 3, size, size]),
  labels: np.array(labels).reshape([batchSize, classes]),
  smoothed: np.array(smoothed).reshape([batchSize, classes]),
};
const make = (fill) =>
  Object.fromEntries(
    Object.entries(initial).map(([name, { data, shape }]) => [
      name,
      fill ? np.zeros(shape) : np.array(data).reshape(shape),
    ]),
  );
let [p, m, v] = [make(false), make(true), make(true)];
let steps = 0;

async function train() {
  steps++;
  const scales = [np.array([1 / (1 - adamw.beta1 ** steps)]), np.array([1 / (1 - adamw.beta2 ** steps)])];
  const [loss, nextP, nextM, nextV] = update(
    p,
    m,
    v,
    ...scales,
    inputs.images.ref,
    inputs.labels.ref,
    inputs.smoothed.ref,
  );
  [p, m, v] = [nextP, nextM, nextV];
  await blockUntilReady(p);
  return (await loss.data())[0];
}

async function predict() {
  const logits = infer(tree.ref(p), inputs.images.ref);
  await logits.data();
}

await timeAndPrint({
  system: "jax-js-wasm",
  version: `@jax-js/jax ${version}`,
  step: task === "train" ? train : predict,
});
process.exit(0);
