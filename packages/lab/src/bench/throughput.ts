/** `deit bench train` and `deit bench infer`: images a second, beside the device's own rate of matrix products. */
import { createRuntime } from "deit-ts";
import type { DeviceName } from "deit-ts";
import type { Executable, TensorData } from "deit-ts/graph";
import { createModel, loadStepGroup, runSteps } from "deit-ts/models";
import type { StepGroup } from "deit-ts/models";
import { createGemmTimer, gemmShapes } from "./gemm.ts";
import type { GemmPeak } from "./gemm.ts";
import { median, seconds } from "./timing.ts";
import { inferWorkload, trainWorkload } from "./workload.ts";
import type { StepForm, Workload, WorkloadContext } from "./workload.ts";

export interface BenchOptions extends StepForm {
  readonly model: string;
  readonly batchSize?: number;
  readonly inputSize?: number | readonly [number, number];
  readonly device?: DeviceName | "auto";
  readonly threads?: number;
  /** Timed rounds; each is some runs and one round of matrix products. */
  readonly rounds?: number;
  /** File prefix for ONNX Runtime's profiler. */
  readonly profile?: string;
}

/** What `deit bench train|infer --json` prints. Other tools read it: add keys, never rename these. */
export interface BenchReport {
  readonly model: string;
  readonly device: string;
  readonly threads: number;
  readonly batchSize: number;
  /** Training steps handed over together. */
  readonly stepsPerRun?: number;
  /** Median over the rounds. */
  readonly imagesPerSecond: number;
  /** Best of the model's four product shapes, each the median of its rounds, in the same run. */
  readonly gemmPeakGflops: number;
  /** 2·MACs of the paper's model a second (×3 for a training step), whatever shortcuts the program takes. */
  readonly achievedGflops: number;
  readonly utilization: number;
  readonly peakRssMiB: number;
  readonly gemmShapes: GemmPeak["shapes"];
}

/** Forward passes of the deployed model: weights inside the program, joint logits out. */
export async function benchInfer(options: BenchOptions): Promise<BenchReport> {
  return bench(options, inferWorkload);
}

/** Training steps: forward, backward, AdamW, without stochastic depth; both heads of a distilled model learn. */
export async function benchTrain(options: BenchOptions): Promise<BenchReport> {
  return bench(options, (context) => trainWorkload(context, options));
}

type Feeds = Readonly<Record<string, TensorData>>;

/** Shortest timed stretch, in seconds: below it the clock and other programs weigh too much. */
const ROUND_SECONDS = 0.25;

async function bench(
  { model: name, batchSize = 8, inputSize, device = "auto", threads, rounds = 15, profile }: BenchOptions,
  prepare: (context: WorkloadContext) => Promise<Workload>,
): Promise<BenchReport> {
  const model = createModel(name, { inputSize });
  const runtime = await createRuntime({ device, ...(threads && { threads }), ...(profile && { profile }) });
  try {
    const { program, feeds, passes, stepsPerRun } = await prepare({ model, batchSize, runtime });
    const together = stepsPerRun ?? 1;
    const group = await loadStepGroup(runtime, program, together);
    const executables = { batch: await runtime.load(program), group };
    const work = (groups: number): Promise<void> => repeat(executables, { feeds, together, groups });
    const gemm = await createGemmTimer(runtime, gemmShapes(model, batchSize));
    for (let i = 0; i < 3; i++) await work(1);
    await gemm.round();
    const once = await seconds(() => work(1));
    const groups = Math.max(1, Math.round(ROUND_SECONDS / once));
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      times.push((await seconds(() => work(groups))) / (groups * together));
      await gemm.round();
    }
    const imagesPerSecond = batchSize / median(times);
    const peak = gemm.result();
    const achievedGflops = (2 * model.macs * passes * imagesPerSecond) / 1e9;
    return {
      model: name,
      device: runtime.device,
      threads: runtime.threads,
      batchSize,
      ...(stepsPerRun !== undefined && { stepsPerRun }),
      imagesPerSecond,
      gemmPeakGflops: peak.gflops,
      achievedGflops,
      utilization: achievedGflops / peak.gflops,
      peakRssMiB: process.resourceUsage().maxRSS / 1024,
      gemmShapes: peak.shapes,
    };
  } finally {
    await runtime.close();
  }
}

/** Single runs are handed over ahead of their turn, as in evaluation; steps that go together as training hands them over. */
async function repeat(
  executables: { readonly batch: Executable; readonly group: StepGroup | undefined },
  { feeds, together, groups }: { feeds: Feeds; together: number; groups: number },
): Promise<void> {
  if (together === 1) {
    await Promise.all(Array.from({ length: groups }, () => executables.batch.run(feeds)));
    return;
  }
  for (let group = 0; group < groups; group++) {
    const { failure } = await runSteps(executables, copies(feeds, together), together);
    if (failure !== undefined) throw failure.error;
  }
}

async function* copies(feeds: Feeds, count: number): AsyncGenerator<Feeds> {
  for (let i = 0; i < count; i++) yield feeds;
}
