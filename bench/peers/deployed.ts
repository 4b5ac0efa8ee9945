/**
 * Our deployed model and timm's own ONNX export of the same weights, in the same ONNX Runtime, in turns.
 *
 *   npx node bench/peers/deployed.ts --python .venv/bin/python --weights model.safetensors \
 *       [--model deit_tiny_patch16_224] [--rounds 15] [--threads 2] [--out results/peers-deployed.csv]
 *
 * Milliseconds are medians over rounds, the ratio the median over rounds of theirs / ours in the same round.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { median } from "../../packages/lab/src/bench/timing.ts";
import { loadModel } from "../../packages/deit/src/evaluation/checkpoints/load-model.ts";
import { deployedModel } from "../../packages/deit/src/export/onnx.ts";
import { createRandom } from "../../packages/deit/src/random.ts";

const { values } = parseArgs({
  options: {
    python: { type: "string", default: "python3" },
    weights: { type: "string" },
    model: { type: "string", default: "deit_tiny_patch16_224" },
    rounds: { type: "string", default: "15" },
    threads: { type: "string", default: "2" },
    out: { type: "string" },
  },
});
if (values.weights === undefined) {
  console.error("which weights? --weights model.safetensors, with timm's names");
  process.exit(2);
}
const folder = await mkdtemp(join(tmpdir(), "deployed-"));
const script = new URL("timm_onnx.py", import.meta.url).pathname;
const EXPORTERS = { torchscript: [], dynamo: ["--dynamo"] } as const;
type Exporter = keyof typeof EXPORTERS;

/** timm's export, by one of PyTorch's two exporters. */
function exportTheirs(exporter: Exporter, weights: string): { file: string; versions: string } {
  const file = join(folder, `${exporter}.onnx`);
  const run = [script, values.model, weights, file, ...EXPORTERS[exporter]];
  const peer = spawnSync(values.python, run, { encoding: "utf8" });
  if (peer.status !== 0) {
    console.error(peer.stderr);
    process.exit(1);
  }
  const versions = peer.stdout.trim().split("\n").at(-1) ?? "";
  return { file, versions: versions.replaceAll(/[{}"]/g, "").replaceAll(",", "") };
}
const loaded = await loadModel(values.weights, { model: values.model });
const ours = join(folder, "ours.onnx");
await writeFile(ours, deployedModel(loaded));

const open = async (file: string): Promise<InferenceSession> =>
  InferenceSession.create(file, { intraOpNumThreads: Number(values.threads), logSeverityLevel: 3 });
const [height, width] = loaded.model.config.inputSize;
const random = createRandom(0);

async function answer(
  session: InferenceSession,
  pixels: Tensor,
): Promise<{ logits: Float32Array; ms: number }> {
  const start = performance.now();
  const results = await session.run({ [session.inputNames[0] ?? ""]: pixels });
  const ms = performance.now() - start;
  return { logits: results[session.outputNames[0] ?? ""]?.data as Float32Array, ms };
}

const rows = [
  "model,exporter,batch,threads,ours_ms,timm_ms,timm_over_ours,ours_mb,timm_mb,largest_logit_difference,versions",
];
const megabytes = async (file: string): Promise<string> => ((await stat(file)).size / 1e6).toFixed(1);
const work = (["torchscript", "dynamo"] as const).flatMap((exporter) =>
  [1, 8].map((batch) => ({ exporter, batch })),
);
for (const { exporter, batch } of work) {
  const { file: theirs, versions } = exportTheirs(exporter, values.weights);
  const sessions = { ours: await open(ours), theirs: await open(theirs) };
  const data = Float32Array.from({ length: batch * 3 * height * width }, () => random.normal());
  const pixels = new Tensor("float32", data, [batch, 3, height, width]);
  const [first, second] = [await answer(sessions.ours, pixels), await answer(sessions.theirs, pixels)];
  const difference = first.logits.reduce(
    (most, logit, i) => Math.max(most, Math.abs(logit - (second.logits[i] ?? Number.NaN))),
    0,
  );
  const times: { ours: number; theirs: number }[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const order = round % 2 === 0 ? (["ours", "theirs"] as const) : (["theirs", "ours"] as const);
    const found = { ours: 0, theirs: 0 };
    for (const name of order) {
      const runs: number[] = [];
      for (let i = 0; i < 5; i++) runs.push((await answer(sessions[name], pixels)).ms);
      found[name] = median(runs);
    }
    times.push(found);
  }
  rows.push(
    [
      values.model,
      exporter,
      batch,
      values.threads,
      median(times.map((time) => time.ours)).toFixed(2),
      median(times.map((time) => time.theirs)).toFixed(2),
      median(times.map((time) => time.theirs / time.ours)).toFixed(3),
      await megabytes(ours),
      await megabytes(theirs),
      difference.toExponential(1),
      versions,
    ].join(),
  );
  console.log(rows.at(-1));
  await Promise.all(Object.values(sessions).map(async (session) => session.release()));
}
if (values.out !== undefined) await writeFile(values.out, `${rows.join("\n")}\n`);
await rm(folder, { recursive: true });
