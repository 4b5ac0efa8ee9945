/**
 * SHA-256 of the ONNX bytes of a representative set of programs: one line each, `sha256  program`. Two versions of the code
 * whose lines are the same train and evaluate bit for bit alike.
 *
 *   npx node scripts/program-fingerprints.ts [PATTERN] [--out DIR]
 *
 * PATTERN: only programs whose name contains it. --out: also writes the programs there, to be compared.
 */
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { distillation } from "../packages/deit/src/distillation/losses.ts";
import type { Readout } from "../packages/deit/src/evaluation/intermediates.ts";
import { FEATURES, readoutProgram } from "../packages/deit/src/evaluation/intermediates.ts";
import type { ProgramOptions } from "../packages/deit/src/evaluation/evaluation-program.ts";
import { evaluationProgram, headOutputs } from "../packages/deit/src/evaluation/evaluation-program.ts";
import type { Target, Value } from "../packages/deit/src/graph/graph.ts";
import type { Program } from "../packages/deit/src/graph/program.ts";
import { deployedProgram } from "../packages/deit/src/models/deploy.ts";
import { createModel } from "../packages/deit/src/models/registry.ts";
import { softTargetCrossEntropy } from "../packages/deit/src/nn/losses.ts";
import { initialVectors, modelLayout, unpackTensors } from "../packages/deit/src/nn/parameters.ts";
import type { TrainableOptions } from "../packages/deit/src/nn/trainable.ts";
import { adamW } from "../packages/deit/src/optim/adamw.ts";
import { withEma } from "../packages/deit/src/optim/ema.ts";
import { withLossScale } from "../packages/deit/src/optim/loss-scale.ts";
import { createRandom } from "../packages/deit/src/random.ts";
import type { TrainingOptions } from "../packages/deit/src/training/loop/training-programs.ts";
import {
  applyProgram,
  gradProgram,
  stepProgram,
} from "../packages/deit/src/training/loop/training-programs.ts";
import { classification } from "../packages/deit/src/training/task.ts";

interface Case {
  readonly model: string;
  readonly batchSize?: number;
  readonly trainable?: TrainableOptions;
  readonly training?: Partial<TrainingOptions>;
  readonly targets?: readonly Target[];
}

const [SMALL, TINY] = ["deit_w64d4_patch4_32", "deit_tiny_distilled_patch16_224"];
const DISTILLED = "deit_w64d4_distilled_patch4_32";
const classify = classification(softTargetCrossEntropy);
const distill = distillation(
  { type: "hard", alpha: 0.5, tau: 3, reduction: "mean", head: "token", trueLabels: 0 },
  softTargetCrossEntropy,
);

const CASES: Readonly<Record<string, Case>> = {
  plain: { model: SMALL },
  distilled: { model: DISTILLED, training: { task: distill, teacher: "input" } },
  "distilled, no teacher": { model: DISTILLED },
  "deit-ti distilled": { model: TINY, batchSize: 8, training: { task: distill, teacher: "input" } },
  recipe: {
    model: DISTILLED,
    trainable: { layerDecay: 0.75 },
    training: { optimizer: withEma(adamW(), { decay: 0.999 }), dropPath: 0.1, erasing: true, mixing: true },
  },
  clipped: { model: SMALL, training: { clipGrad: 1 } },
  lora: { model: SMALL, trainable: { trainable: "lora", lora: { rank: 4, alpha: 8 } } },
  head: { model: SMALL, trainable: { trainable: "head" } },
  "last-2": { model: SMALL, trainable: { trainable: "last-2" } },
  attention: { model: SMALL, trainable: { trainable: "attention" } },
  dropout: { model: SMALL, training: { dropPath: 0.1, drop: 0.1 } },
  "attention dropout": { model: SMALL, training: { attnDrop: 0.1 } },
  recompute: { model: SMALL, training: { recompute: true, dropPath: 0.1 } },
  "recompute, dropout": { model: SMALL, training: { recompute: true, drop: 0.1, attnDrop: 0.1 } },
  float16: { model: SMALL, training: { optimizer: withLossScale(adamW()), ahead: 4 } },
  "evaluation mode": { model: SMALL, training: { evaluationMode: true } },
  resnet: { model: "resnet20_cifar" },
  "small regnety": { model: "regnety_w32d9_32" },
  regnety: { model: "regnety_002", batchSize: 4, targets: ["cpu", "cpu16"] },
};
const TARGETS: readonly Target[] = ["cpu", "cpu16", "webgpu"];
const NORMALISATION = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

function programsOf(
  { model: name, batchSize = 16, trainable = {}, training: chosen = {} }: Case,
  target: Target,
): Record<string, Program> {
  const model = createModel(name);
  const layout = modelLayout(model, trainable);
  const options: ProgramOptions = { model, layout, batchSize, target, normalisation: NORMALISATION };
  const training: TrainingOptions = { task: classify, optimizer: adamW(), ...chosen };
  return {
    step: stepProgram(options, training),
    grad: gradProgram(options, training, { batches: 2 }),
    apply: applyProgram(options, training),
    evaluate: evaluationProgram(options),
  };
}

/** Programs that look inside, and that ship. */
function otherPrograms(name: string, target: Target): Record<string, Program> {
  const model = createModel(name);
  const layout = modelLayout(model);
  const options: ProgramOptions = { model, layout, batchSize: 2, target, normalisation: NORMALISATION };
  const tensors = unpackTensors(layout, initialVectors(layout, createRandom(0)));
  const read = (kind: string, outputs: Readout["outputs"]): Program =>
    readoutProgram(options, { name: kind, outputs });
  const named = (kind: string, all: readonly Value[]): Record<string, Value> =>
    Object.fromEntries(all.map((value, i) => [`${kind}${i}`, value]));
  return {
    deployed: deployedProgram(model, tensors, { batchSize: 1, target }),
    features: readoutProgram(options, FEATURES),
    "all intermediates": read("inside", ({ heads, attention, states, final }) => ({
      ...headOutputs(heads),
      ...(final && { final }),
      ...named("attention", attention),
      ...named("state", states),
    })),
  };
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { out: { type: "string" } } });
const [pattern = ""] = positionals;
const seen: string[] = [];
async function report(name: string, programs: () => Record<string, Program>): Promise<void> {
  if (!name.includes(pattern)) return;
  for (const [kind, program] of Object.entries(programs())) {
    const label = `${name}: ${kind}`;
    seen.push(label);
    console.log(`${createHash("sha256").update(program.model).digest("hex")}  ${label}`);
    if (values.out === undefined) continue;
    await mkdir(values.out, { recursive: true });
    await writeFile(join(values.out, `${label.replaceAll(/[^\w]+/g, "-")}.onnx`), program.model);
  }
}

for (const [name, given] of Object.entries(CASES))
  for (const target of given.targets ?? TARGETS)
    await report(`${name} (${target})`, () => programsOf(given, target));
for (const name of [SMALL, DISTILLED, TINY])
  for (const target of ["cpu", "webgpu", "portable"] as const)
    await report(`${name} (${target})`, () => otherPrograms(name, target));
if (seen.length === 0) {
  console.error(`no program's name contains "${pattern}"`);
  process.exitCode = 2;
}
