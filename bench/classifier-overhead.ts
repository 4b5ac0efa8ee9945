/**
 * What an open classifier takes beyond its parts: the time of `classify(path)` by the time of decoding the same image and
 * running a bare ONNX Runtime session of the same model on pixels that were prepared before. The two take turns, image by
 * image, and medians are compared: a machine that drifts slows both. On a machine that others use, too, the times that a
 * tenth of the rounds are below say more: waiting for a core is no part of either.
 *
 *   npx node bench/classifier-overhead.ts --checkpoint CKPT --images DIR [--rounds 200] [--threads N]
 *
 * The bare session is that of the exported file (`deployedModel`), normalised float32 pixels in. `parts` are the medians
 * of what classify does besides: preparing the image (resize, crop, planes) is no part of the bare time.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { readImageFile } from "../packages/deit/src/data/decoding/decode.ts";
import { namedImages } from "../packages/deit/src/data/unlabelled-images.ts";
import { openClassifier } from "../packages/deit/src/evaluation/classifier.ts";
import { deployedModel } from "../packages/deit/src/export/onnx.ts";

const { values } = parseArgs({
  options: {
    checkpoint: { type: "string" },
    images: { type: "string" },
    rounds: { type: "string", default: "200" },
    threads: { type: "string", default: String(availableParallelism()) },
  },
});
if (values.checkpoint === undefined || values.images === undefined) {
  console.error("--checkpoint CKPT --images DIR [--rounds 200] [--threads N]");
  process.exit(2);
}
const threads = Number(values.threads);
const { files } = await namedImages([values.images]);
await using classifier = await openClassifier(values.checkpoint, { device: "cpu", threads });
const { source, inputSize, normalisation } = classifier;
if ("onnx" in source) throw new Error("give a checkpoint, not an ONNX file");
const session = await InferenceSession.create(deployedModel(source), {
  executionProviders: ["cpu"],
  intraOpNumThreads: threads,
  logSeverityLevel: 3,
  // as every session here: threads of the one that go on spinning would slow the other's turn
  extra: { session: { force_spinning_stop: "1", set_denormal_as_zero: "1" } },
});

const shape = [1, 3, ...inputSize];
const plane = inputSize[0] * inputSize[1];
const normalised = (bytes: Uint8Array): Float32Array =>
  Float32Array.from(bytes, (value, i) => {
    const channel = Math.floor(i / plane);
    return (value / 255 - (normalisation.mean[channel] ?? 0)) / (normalisation.std[channel] ?? 1);
  });

const times: Record<string, number[]> = { bare: [], classify: [], decode: [], prepare: [], session: [] };
const timed = async <T>(what: string, work: () => T | Promise<T>): Promise<T> => {
  const start = performance.now();
  const result = await work();
  times[what]?.push(performance.now() - start);
  return result;
};
const WARM_UP = 5;
for (let round = -WARM_UP; round < Number(values.rounds); round++) {
  const file = files[(round + WARM_UP) % files.length] ?? "";
  const ready = normalised(classifier.prepare(await readImageFile(file)));
  const bare = async (): Promise<void> =>
    timed("bare", async () => {
      await timed("decode", () => readImageFile(file));
      await timed("session", () => session.run({ pixel_values: new Tensor("float32", ready, shape) }));
    });
  const asked = async (): Promise<unknown> => timed("classify", () => classifier.classify(file));
  for (const work of round % 2 === 0 ? [bare, asked] : [asked, bare]) await work();
  const image = await readImageFile(file);
  await timed("prepare", () => classifier.prepare(image));
  if (round < 0) for (const list of Object.values(times)) list.length = 0;
}
await session.release();
const at = (what: string, part: number): number =>
  (times[what] ?? []).toSorted((a, b) => a - b)[Math.floor(part * Number(values.rounds))] ?? Number.NaN;
console.log("          median  tenth");
for (const what of Object.keys(times))
  console.log(
    `${what.padEnd(9)} ${at(what, 0.5).toFixed(2).padStart(6)} ${at(what, 0.1).toFixed(2).padStart(6)} ms`,
  );
const ratio = (part: number): string => (at("classify", part) / at("bare", part)).toFixed(3);
console.log(
  `classify / bare: ${ratio(0.5)}, of the fastest tenth ${ratio(0.1)} (${values.rounds} rounds, ${threads} threads)`,
);
