/** The loop: epochs of steps, an evaluation and a save after each. It knows no loss, no model and no device. */
import type { TrainOptions } from "../config/schema.ts";
import type { Loader } from "../data/loader.ts";
import { evaluate } from "../evaluation/evaluate.ts";
import type { EvaluationMetrics } from "../evaluation/metrics.ts";
import type { Model } from "../models/registry.ts";
import { dropPathMask, DROP_PATH_INPUT } from "../nn/context.ts";
import type { Layout } from "../nn/layout.ts";
import { unpackTensors } from "../nn/layout.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Schedule } from "../optim/schedule.ts";
import { createRandom } from "../random.ts";
import type { Runtime, TensorData } from "../runtime/runtime.ts";
import type { TrainEvent } from "./events.ts";
import { InterruptedError, NonFiniteError } from "./events.ts";
import type { Executables } from "./executables.ts";
import type { BestEpoch, Progress } from "./progress.ts";
import { captureState, weightsOf } from "./progress.ts";
import type { ModelKind, RunFolder } from "./run-folder.ts";
import type { RunState } from "./run-state.ts";
import { smoothTargets } from "./task.ts";

export interface Engine {
  readonly options: TrainOptions;
  readonly model: Model;
  readonly layout: Layout;
  readonly optimizer: Optimizer;
  readonly schedule: Schedule;
  readonly runtime: Runtime;
  readonly executables: Executables;
  readonly loaders: { readonly training: Loader; readonly validation: Loader };
  readonly run: RunFolder;
  readonly progress: Progress;
  readonly classes: readonly string[];
  readonly validationImages: number;
  readonly onEvent: (event: TrainEvent) => void;
  readonly signal: AbortSignal | undefined;
}

export interface Trained {
  readonly best: BestEpoch;
  readonly last: BestEpoch;
  readonly imagesPerSecond: number;
}

/** Trains from where `progress` stands to the last epoch. */
export async function runEpochs(engine: Engine): Promise<Trained> {
  const { options, run, progress, loaders, onEvent } = engine;
  const speed = new Speed(options.batchSize);
  await repairModels(engine);
  for (; progress.epoch < options.epochs; progress.epoch++) {
    const { epoch } = progress;
    const started = performance.now();
    const lr = await trainEpoch(engine, speed);
    const trainLoss = progress.lossSum / stepsPerEpoch(engine);
    const isLast = epoch === options.epochs - 1;
    const metrics = isLast || (epoch + 1) % options.evalEvery === 0 ? await validate(engine) : undefined;
    const isBest = metrics !== undefined && !(metrics.acc1 <= (progress.best?.acc1 ?? -1));
    if (isBest) progress.best = { epoch, acc1: metrics.acc1, acc5: metrics.acc5 };

    await run.appendEpoch({
      epoch,
      train_loss: trainLoss,
      train_lr: lr,
      ...(metrics && { test_loss: metrics.loss, test_acc1: metrics.acc1, test_acc5: metrics.acc5, test_heads: headRecord(metrics) }),
      n_parameters: engine.layout.parameters,
      seconds: (performance.now() - started) / 1000,
    });
    if (isBest || isLast || (epoch + 1) % options.saveEvery === 0) {
      const state = await captureState(engine, { ...progress, epoch: epoch + 1, step: 0, lossSum: 0 });
      await run.saveState(state);
      if (isBest) await saveModel(engine, "best", { state, epoch, metrics });
      await saveModel(engine, "last", { state, epoch, metrics });
      onEvent({ type: "saved", path: run.path });
    }
    progress.step = 0;
    progress.lossSum = 0;
    for (const message of loaders.training.warnings.slice(speed.warned)) onEvent({ type: "warning", message });
    speed.warned = loaders.training.warnings.length;
    onEvent({
      type: "epoch",
      epoch,
      epochs: options.epochs,
      trainLoss,
      testLoss: metrics?.loss ?? Number.NaN,
      acc1: metrics?.acc1 ?? Number.NaN,
      acc5: metrics?.acc5 ?? Number.NaN,
      best: isBest,
      seconds: (performance.now() - started) / 1000,
    });
  }
  return { ...results(engine), imagesPerSecond: speed.imagesPerSecond };
}

/** The steps of one epoch that are still to do. Returns the last learning rate. */
async function trainEpoch(engine: Engine, speed: Speed): Promise<number> {
  const { options, schedule, executables, loaders, progress, onEvent, signal } = engine;
  const { epoch } = progress;
  const steps = stepsPerEpoch(engine);
  let lr = schedule(epoch, progress.step);
  let lastSave = performance.now();
  if (signal?.aborted) await stop(engine);
  for await (const batch of loaders.training.epoch(epoch, { from: progress.step })) {
    if (batch.step >= steps) break;
    speed.start();
    lr = schedule(epoch, batch.step);
    const updates = (batch.step + 1) % options.accumulationSteps === 0;
    const feeds = batchFeeds(engine, { epoch, ...batch });
    const hyper = hyperFeeds(engine, lr);
    const outputs = await executables.batch.run(executables.apply ? feeds : { ...feeds, ...hyper });
    const applied = executables.apply && updates ? await executables.apply.run(hyper) : {};
    const losses = scalars({ ...outputs, ...applied });
    for (const [metric, value] of Object.entries(losses)) {
      if (!Number.isFinite(value)) throw new NonFiniteError({ metric, value, epoch, step: batch.step, lr });
    }
    progress.step = batch.step + 1;
    progress.lossSum += losses["loss"] ?? 0;
    if (updates) progress.updates++;
    speed.stop();
    onEvent({
      type: "step",
      epoch,
      step: progress.step,
      steps,
      loss: losses["loss"] ?? Number.NaN,
      losses,
      lr,
      imagesPerSecond: speed.imagesPerSecond,
      secondsLeft: speed.secondsFor((options.epochs - epoch) * steps - progress.step),
    });
    if (!updates) continue; // accumulated gradients are not saved
    if (signal?.aborted) await stop(engine);
    const minutes = (performance.now() - lastSave) / 60_000;
    const due = options.saveSteps !== null && progress.step % options.saveSteps === 0;
    if ((due || minutes >= (options.saveMinutes ?? Number.POSITIVE_INFINITY)) && progress.step < steps) {
      await engine.run.saveState(await captureState(engine, progress));
      lastSave = performance.now();
    }
  }
  return lr;
}

/** Batches of an epoch: whole updates only. */
function stepsPerEpoch({ options, loaders }: Engine): number {
  return loaders.training.steps - (loaders.training.steps % options.accumulationSteps);
}

/** Saves where the run stands and leaves it. */
async function stop(engine: Engine): Promise<never> {
  await engine.run.saveState(await captureState(engine, engine.progress));
  throw new InterruptedError(engine.run.path);
}

/** Everything a training batch is fed with; all chance comes from (seed, epoch, step). */
function batchFeeds(
  { options, model, executables }: Engine,
  { epoch, step, images, labels }: { epoch: number; step: number; images: Uint8Array; labels: Int32Array },
): Record<string, TensorData> {
  const targets = smoothTargets(labels, model.config.numClasses, options.smoothing);
  if (!(DROP_PATH_INPUT in executables.batch.program.inputs)) return { images, targets };
  const random = createRandom(options.seed, "dropPath", epoch, step);
  const rates = model.dropPathRates(options.dropPath);
  return { images, targets, [DROP_PATH_INPUT]: dropPathMask(rates, labels.length, () => random.uniform()) };
}

/** The optimizer's numbers for the next update, by vector. */
function hyperFeeds({ layout, optimizer, progress }: Engine, lr: number): Record<string, TensorData> {
  return Object.fromEntries(
    layout.vectors.map(({ name, group }) => [
      `hyper.${name}`,
      Float32Array.from(optimizer.hyper(progress.updates + 1, lr, group)),
    ]),
  );
}

async function validate({ executables, loaders, model, validationImages, onEvent }: Engine): Promise<EvaluationMetrics> {
  return evaluate(
    { executable: executables.evaluate, loader: loaders.validation, numClasses: model.config.numClasses, total: validationImages },
    { onEvent },
  );
}

/** top-1 and loss of every head, for the log. */
function headRecord({ heads }: EvaluationMetrics): Record<string, { acc1: number; acc5: number; loss: number }> {
  return Object.fromEntries(Object.entries(heads).map(([name, { acc1, acc5, loss }]) => [name, { acc1, acc5, loss }]));
}

/** Writes the weights of a state as a model that can be used by itself. */
async function saveModel(
  { run, model, layout, classes, options }: Engine,
  kind: ModelKind,
  { state, epoch, metrics }: { state: RunState; epoch: number; metrics: EvaluationMetrics | undefined },
): Promise<void> {
  await run.saveModel(kind, unpackTensors(layout, weightsOf(state, layout)), {
    model: model.name,
    classes,
    inputSize: model.config.inputSize,
    mean: options.mean,
    std: options.std,
    epoch,
    metrics: metrics === undefined ? {} : { acc1: metrics.acc1, acc5: metrics.acc5, loss: metrics.loss },
  });
}

/** After a kill between saving the state and saving the models, the state holds the weights that they lack. */
async function repairModels(engine: Engine): Promise<void> {
  const { run, progress } = engine;
  if (progress.step !== 0 || progress.epoch === 0) return;
  const record = run.log.at(-1);
  for (const kind of run.staleModels) {
    const epoch = kind === "best" ? progress.best?.epoch : progress.epoch - 1;
    if (epoch !== progress.epoch - 1) continue;
    const { test_acc1: acc1 = 0, test_acc5: acc5 = 0, test_loss: loss = 0 } = record ?? {};
    const state = await captureState(engine, progress);
    await run.saveModel(kind, unpackTensors(engine.layout, weightsOf(state, engine.layout)), {
      model: engine.model.name,
      classes: engine.classes,
      inputSize: engine.model.config.inputSize,
      mean: engine.options.mean,
      std: engine.options.std,
      epoch,
      metrics: { acc1, acc5, loss },
    });
  }
}

function results({ run, progress, options }: Engine): { best: BestEpoch; last: BestEpoch } {
  const record = run.log.at(-1);
  const last = { epoch: options.epochs - 1, acc1: record?.test_acc1 ?? 0, acc5: record?.test_acc5 ?? 0 };
  return { best: progress.best ?? last, last };
}

/** One-element outputs as numbers. */
function scalars(outputs: Readonly<Record<string, TensorData>>): Record<string, number> {
  return Object.fromEntries(Object.entries(outputs).map(([name, data]) => [name, Number(data[0])]));
}

/** Pictures a second, of steps alone and weighing recent ones more. */
class Speed {
  /** Loader warnings that were passed on. */
  warned = 0;
  private secondsPerStep = 0;
  private weight = 0;
  private started = 0;
  private readonly batchSize: number;

  constructor(batchSize: number) {
    this.batchSize = batchSize;
  }

  start(): void {
    this.started ||= performance.now();
  }

  /** Ends a step; the next one starts here, so that waiting for pictures counts. */
  stop(): void {
    const now = performance.now();
    this.weight = Math.min(this.weight + 1, 50);
    this.secondsPerStep += ((now - this.started) / 1000 - this.secondsPerStep) / this.weight;
    this.started = now;
  }

  get imagesPerSecond(): number {
    return this.secondsPerStep === 0 ? 0 : this.batchSize / this.secondsPerStep;
  }

  secondsFor(steps: number): number {
    return steps * this.secondsPerStep;
  }
}
