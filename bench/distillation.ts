/**
 * What a teacher inside the student's step costs: the distilled step against the student's step and the teacher's forward
 * pass, each a program of its own, in turns.
 *
 *   npx node bench/distillation.ts [--rounds 15] [--threads 2]
 */
import { completePreprocessing } from "../packages/deit/src/augmentation/preprocessing.ts";
import { parseArgs } from "node:util";
import { median } from "../packages/lab/src/bench/timing.ts";
import { distillation } from "../packages/deit/src/distillation/losses.ts";
import { tracedAnswers } from "../packages/deit/src/distillation/teacher-program.ts";
import { compile } from "../packages/deit/src/graph/program.ts";
import { createModel } from "../packages/deit/src/models/registry.ts";
import type { Model } from "../packages/deit/src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../packages/deit/src/nn/parameters.ts";
import { softTargetCrossEntropy } from "../packages/deit/src/nn/losses.ts";
import { adamW } from "../packages/deit/src/optim/adamw.ts";
import { createRandom } from "../packages/deit/src/random.ts";
import { createRuntime } from "../packages/deit/src/runtime/node.ts";
import { hyperFeeds } from "../packages/deit/src/training/loop/step-feeds.ts";
import {
  batchPixels,
  stepProgram,
  trainingState,
} from "../packages/deit/src/training/loop/training-programs.ts";
import { smoothTargets } from "../packages/deit/src/training/loop/step-feeds.ts";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "15" }, threads: { type: "string", default: "2" } },
});

const PAIRS = [
  ["deit_w64d4_distilled_patch4_32", "regnety_w32d9_32", 64],
  ["deit_w64d4_distilled_patch4_32", "resnet56_cifar", 64],
  ["deit_tiny_distilled_patch16_224", "regnety_016", 8],
] as const;

const normalisation = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const random = createRandom(0);

/** A model with random weights, as a teacher. */
function asTeacher(model: Model): Parameters<typeof tracedAnswers>[0] {
  const layout = modelLayout(model);
  const tensors = unpackTensors(layout, initialVectors(layout, random));
  const { inputSize, numClasses } = model.config;
  const preprocessing = completePreprocessing(inputSize);
  const source = { model, tensors, metadata: {}, preprocessing, file: "", notes: [] };
  const answer = { order: undefined, answers: "logits", width: numClasses } as const;
  return { name: model.name, source, ...answer, hash: "", inputSize, normalisation };
}

console.log(
  "student, teacher, batch: student's step ms, teacher's forward ms, distilled step ms, ratio to the sum",
);
for (const [studentName, teacherName, batchSize] of PAIRS) {
  const student = createModel(studentName);
  const { inputSize, numClasses } = student.config;
  const teacher = asTeacher(createModel(teacherName, { inputSize, numClasses }));
  const runtime = await createRuntime({ device: "cpu", threads: Number(values.threads) });
  const layout = modelLayout(student);
  const optimizer = adamW({ weightDecay: 0.05 });
  const shared = { model: student, layout, batchSize, target: runtime.target, normalisation };
  const task = (type: "labels" | "hard"): ReturnType<typeof distillation> =>
    distillation(
      { type, alpha: 0.5, tau: 1, reduction: "mean", head: "token", trueLabels: 0 },
      softTargetCrossEntropy,
    );
  const start = initialVectors(layout, random);
  for (const { name, length } of trainingState(layout, optimizer))
    await runtime.setState(name, start[name.replace("W.", "")] ?? new Float32Array(length));
  const programs = {
    student: stepProgram(shared, { task: task("labels"), optimizer }),
    teacher: compile({
      name: "teacher",
      target: runtime.target,
      outputs: { logits: tracedAnswers(teacher, batchPixels(shared, {}), normalisation) },
    }),
    distilled: stepProgram(shared, {
      task: task("hard"),
      optimizer,
      teacher: (pixels) => tracedAnswers(teacher, pixels, normalisation),
    }),
  };
  const images = Uint8Array.from({ length: batchSize * 3 * inputSize[0] * inputSize[1] }, () =>
    random.integer(256),
  );
  const targets = smoothTargets(
    Array.from({ length: batchSize }, (_, i) => i % numClasses),
    numClasses,
    0.1,
  );
  const step = { images, targets, ...hyperFeeds({ layout, optimizer }, { update: 1, lr: 1e-6 }) };
  const kinds = await Promise.all(
    (["student", "teacher", "distilled"] as const).map(async (kind) => ({
      executable: await runtime.load(programs[kind]),
      feeds: kind === "teacher" ? { images } : step,
      times: [] as number[],
    })),
  );
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const { executable, feeds, times } of kinds) {
      const began = performance.now();
      await executable.run(feeds);
      if (round > 0) times.push(performance.now() - began); // the first one warms up
    }
  }
  const [alone = [], forward = [], distilled = []] = kinds.map(({ times }) => times);
  const ratios = distilled.map((time, i) => time / ((alone[i] ?? 0) + (forward[i] ?? 0)));
  const shown = [alone, forward, distilled].map((times) => median(times).toFixed(1)).join(", ");
  console.log(`${studentName}, ${teacherName}, ${batchSize}: ${shown}, ${median(ratios).toFixed(3)}`);
  await runtime.close();
}
