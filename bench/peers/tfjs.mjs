// DeiT-Ti⚗ in TensorFlow.js on its WASM backend: forward, or a training step (forward, backward, AdamW).
// TensorFlow.js switches its threads off in Node (tensorflow/tfjs#3830), so this is one thread with SIMD.
// Only plain products of two matrices reach XNNPACK there (40 GFLOP/s; transposed or batched ones 3): so every product
// here is one, attention sample by sample and head by head, which makes the whole step several times faster.
import { createRequire } from "node:module";
import { adamw, batch, batchSize, parameters, sizes, task, timeAndPrint } from "./peer.mjs";

const require = createRequire(import.meta.url);
const tf = require("@tensorflow/tfjs"); // not tfjs-core: only here are the gradients registered
const { version_wasm: version } = require("@tensorflow/tfjs-backend-wasm");
if (!(await tf.setBackend("wasm"))) throw new Error("TensorFlow.js could not start its WASM backend");
await tf.ready();

const { dim, depth, heads, patch, size, tokens, classes } = sizes;
const grid = size / patch;

/** a · b for matrices, its gradients through explicit transposes. */
const product = tf.customGrad((a, b, save) => {
  save([a, b]);
  const gradFunc = (dy, [a, b]) => [tf.matMul(dy, tf.transpose(b)), tf.matMul(tf.transpose(a), dy)];
  return { value: tf.matMul(a, b), gradFunc };
});

const linear = (x, p, name) => tf.add(product(x, p[`${name}.weight`]), p[`${name}.bias`]);

function norm(x, p, name) {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const scale = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-6));
  return tf.add(tf.mul(tf.mul(centred, scale), p[`${name}.weight`]), p[`${name}.bias`]);
}

const gelu = (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));

function attention(x, p, block) {
  const samples = tf.split(linear(x, p, `${block}.qkv`), batchSize, 0).map((sample) => {
    const parts = tf.split(sample, 3 * heads, 1); // each [N, head dim]: queries of all heads, then keys, then values
    const mixed = parts.slice(0, heads).map((q, head) => {
      const scores = product(tf.mul(q, (dim / heads) ** -0.5), tf.transpose(parts[heads + head]));
      return product(tf.softmax(scores), parts[2 * heads + head]);
    });
    return tf.concat(mixed, 1);
  });
  return linear(tf.concat(samples, 0), p, `${block}.proj`);
}

function forward(p, images) {
  const patches = tf.transpose(tf.reshape(images, [batchSize * 3, grid, patch, grid * patch]), [0, 1, 3, 2]);
  // [B·3, grid, grid·patch (columns), patch (rows)]: rows within a patch are stored last, an order of pixels like any other
  const columns = tf.transpose(tf.reshape(patches, [batchSize, 3, grid * grid, patch * patch]), [0, 2, 1, 3]);
  const embedded = linear(
    tf.reshape(columns, [batchSize * grid * grid, 3 * patch * patch]),
    p,
    "patch_embed",
  );
  const [cls, dist] = ["cls_token", "dist_token"].map((name) => tf.tile(p[name], [batchSize, 1, 1]));
  let x = tf.add(
    tf.concat([cls, dist, tf.reshape(embedded, [batchSize, grid * grid, dim])], 1),
    p["pos_embed"],
  );
  x = tf.reshape(x, [batchSize * tokens, dim]);
  for (let i = 0; i < depth; i++) {
    const block = `blocks.${i}`;
    x = tf.add(x, attention(norm(x, p, `${block}.norm1`), p, block));
    const hidden = gelu(linear(norm(x, p, `${block}.norm2`), p, `${block}.fc1`));
    x = tf.add(x, linear(hidden, p, `${block}.fc2`));
  }
  x = tf.reshape(norm(x, p, "norm"), [batchSize, tokens, dim]);
  const token = (index) => tf.reshape(tf.slice(x, [0, index, 0], [batchSize, 1, dim]), [batchSize, dim]);
  return [linear(token(0), p, "head"), linear(token(1), p, "head_dist")];
}

const data = batch();
const images = tf.tensor(data.images, [batchSize, 3, size, size]);
const labels = tf.tensor(data.labels, [batchSize, classes]);
const smoothed = tf.tensor(data.smoothed, [batchSize, classes]);
const initial = parameters();
const names = Object.keys(initial);
const variables = {};
for (const [name, { data: values, shape }] of Object.entries(initial)) {
  variables[name] = tf.variable(tf.tensor(values, shape), true, name);
}
const optimizer = tf.train.adam(adamw.lr, adamw.beta1, adamw.beta2, adamw.eps);

function lossOf() {
  const [classLogits, distLogits] = forward(variables, images);
  const sum = (logits, targets) => tf.sum(tf.mul(tf.logSoftmax(logits), targets));
  return tf.mul(tf.add(sum(classLogits, smoothed), sum(distLogits, labels)), -0.5 / batchSize);
}

function train() {
  return tf.tidy(() => {
    const { value, grads } = tf.variableGrads(lossOf);
    for (const name of names) {
      if (initial[name].decay)
        variables[name].assign(tf.mul(variables[name], 1 - adamw.lr * adamw.weightDecay));
    }
    optimizer.applyGradients(grads);
    return value.dataSync()[0];
  });
}

function predict() {
  tf.tidy(() => {
    const [classLogits, distLogits] = forward(variables, images);
    tf.mul(tf.add(classLogits, distLogits), 0.5).dataSync();
  });
}

await timeAndPrint({
  system: "tfjs-wasm",
  version: `@tensorflow/tfjs-backend-wasm ${version}`,
  step: task === "train" ? train : predict,
  notes: "1 thread (TensorFlow.js has none in Node)",
});
