/**
 * A stand-in for training, killed by run-folder.slow.test.ts: opens or resumes the folder given, prints "ready",
 * then saves epoch after epoch (every number of epoch e's state is e + 1) until it is killed.
 */
import { openRunFolder } from "../../../src/training/run/run-folder.ts";
import type { ModelKind } from "../../../src/training/run/run-folder.ts";

const LENGTH = 20_000;
const run = await openRunFolder(process.argv[2] ?? "", { args: { lr: 0.1, seed: 0 } });
const state = await run.loadState();
let best = state?.counters.best;
process.stdout.write("ready\n");
if (state !== null) for (const kind of run.staleModels) await saveModel(kind, state.counters.epoch - 1);
for (let epoch = state?.counters.epoch ?? 0; epoch < 100_000; epoch++) {
  const values = new Float32Array(LENGTH).fill(epoch + 1);
  await run.appendEpoch({ epoch, train_loss: 1 / (epoch + 1), train_lr: 0.1, n_parameters: LENGTH });
  const isBest = epoch % 3 === 0;
  if (isBest) best = { epoch };
  await run.saveState({
    vectors: { W: values, m: values },
    counters: { epoch: epoch + 1, ...(best && { best }) },
  });
  await saveModel("last", epoch);
  if (isBest) await saveModel("best", epoch);
}

async function saveModel(kind: ModelKind, epoch: number): Promise<void> {
  const tensors = new Map([["w", { shape: [LENGTH], data: new Float32Array(LENGTH).fill(epoch + 1) }]]);
  await run.saveModel(kind, tensors, {
    model: "x",
    classes: [],
    inputSize: [32, 32],
    mean: [0, 0, 0],
    std: [1, 1, 1],
    epoch,
    metrics: {},
  });
}
