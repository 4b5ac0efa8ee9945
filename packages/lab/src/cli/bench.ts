/** `deit bench`: how fast training, inference, matrix products and the loader are on this machine. */
import { resolve } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import type { LoaderRate } from "../bench/data.ts";
import type { BenchOptions } from "../bench/throughput.ts";
import type { TrainOptionName } from "deit-ts";
import {
  ConfigError,
  requireImages,
  addSchemaFlags,
  createOutput,
  facts,
  flagLayer,
  givenOptions,
  integer,
  mebibytes,
  short,
  wholeNumber,
} from "deit-ts/cli";
import type { Output } from "deit-ts/cli";
import { profileText } from "./profile-view.ts";

const MODEL = ["model", "inputSize", "batchSize", "device", "threads"] as const;
const TRAINING = [...MODEL, "precision", "recompute", "stepsPerRun"] as const;
const DATA_OPTIONS: readonly TrainOptionName[] = [
  "dataPath",
  "dataSet",
  "inputSize",
  "batchSize",
  "crop",
  "hflip",
  "aa",
  "threeAugment",
  "colorJitter",
  "reprob",
  "remode",
  "workers",
];

export function addBenchCommand(program: Command): void {
  const bench = program.command("bench").description("Benchmark this machine.");
  const add = (name: string, description: string, options: readonly TrainOptionName[]): Command => {
    const command = bench.command(name).description(description);
    addSchemaFlags(command, options, { groups: false, defaults: false });
    return command
      .addOption(
        new Option("--rounds <N>", "timed rounds; the median is reported (default: 15)").argParser(
          wholeNumber("rounds"),
        ),
      )
      .option("--json", "print the result as one JSON document");
  };
  addProfile(add("train", "Time training steps: forward, backward and update.", TRAINING)).action(
    runModel("train"),
  );
  addProfile(add("infer", "Time forward passes.", MODEL)).action(runModel("infer"));
  add(
    "gemm",
    "Time the model's own matrix products: the peak that the others are compared with.",
    MODEL,
  ).action(runGemm);
  add("data", "Time reading and preparing images.", DATA_OPTIONS).action(runData);
  bench.addHelpText(
    "after",
    `\nWithout --model: ${DEFAULT_MODEL}.\n\nExamples:\n  deit bench train --model deit_tiny_patch16_224 --batch-size 8\n  deit bench train --profile --out profile.json`,
  );
}

function addProfile(command: Command): Command {
  return command
    .option("--profile", "profile the operations instead (--rounds: profiled runs, default 5)")
    .option("--out <FILE>", "with --profile: keep ONNX Runtime's file, for ui.perfetto.dev");
}

interface BenchFlags {
  rounds?: number;
  json?: true;
  profile?: true;
  out?: string;
}

const DEFAULT_MODEL = "deit_tiny_distilled_patch16_224";

/** The flags as the benchmarks of a model take them. */
function modelOptions(flags: BenchFlags, command: Command): BenchOptions {
  const {
    model = DEFAULT_MODEL,
    inputSize,
    batchSize,
    device,
    threads,
    precision,
    recompute,
    stepsPerRun,
  } = givenOptions(command, TRAINING);
  return {
    model,
    ...(inputSize && { inputSize }),
    ...(batchSize && { batchSize }),
    ...(device && { device }),
    ...(threads && { threads }),
    ...(precision && { precision }),
    ...(recompute && { recompute }),
    ...(stepsPerRun && { stepsPerRun }),
    ...(flags.rounds && { rounds: flags.rounds }),
  };
}

function runModel(what: "train" | "infer") {
  return async (flags: BenchFlags, command: Command): Promise<void> => {
    const output = createOutput({ json: flags.json });
    if (flags.profile) {
      const options = modelOptions(flags, command);
      if (options.stepsPerRun !== undefined) {
        throw new ConfigError(
          "stepsPerRun",
          "--steps-per-run does not go with --profile, which profiles one step",
          { code: "options/conflict", hint: "Leave one of them out." },
        );
      }
      return runProfile({ what, out: flags.out, ...options }, output);
    }
    if (flags.out !== undefined) {
      throw new ConfigError("out", "--out keeps the profile; there is none without --profile", {
        code: "options/conflict",
        hint: `deit bench ${what} --profile --out ${flags.out}`,
      });
    }
    const { benchTrain, benchInfer } = await import("../bench/throughput.ts");
    const result = await (what === "train" ? benchTrain : benchInfer)(modelOptions(flags, command));
    output.result(result, () =>
      [
        `${short(result.imagesPerSecond)} images/s ${what === "train" ? "in training" : "forward"}`,
        facts([
          ["model", `${result.model}, batch of ${result.batchSize}`],
          ["device", `${result.device}, ${result.threads} threads`],
          ["achieved", `${short(result.achievedGflops)} GFLOP/s`],
          ["peak here", `${short(result.gemmPeakGflops)} GFLOP/s (matrix products of this model)`],
          ["utilization", `${(100 * result.utilization).toFixed(0)} %`],
          ["memory", mebibytes(result.peakRssMiB)],
        ]),
      ].join("\n"),
    );
  };
}

async function runProfile(
  { out, ...options }: BenchOptions & { what: "train" | "infer"; out: string | undefined },
  output: Output,
): Promise<void> {
  const { profileModel } = await import("../bench/profile.ts");
  const result = await profileModel({ ...options, ...(out !== undefined && { out: resolve(out) }) });
  output.result(result, () => profileText(result));
}

async function runGemm(flags: BenchFlags, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { benchGemm } = await import("../bench/gemm.ts");
  const result = await benchGemm(modelOptions(flags, command));
  output.result(
    result,
    () => `${short(result.gemmPeakGflops)} GFLOP/s on ${result.device}, ${result.threads} threads`,
  );
}

async function runData(flags: BenchFlags, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { planImages, resolveTrainOptions } = await import("deit-ts/studies");
  const { options } = resolveTrainOptions([flagLayer(command)]);
  requireImages(options, "deit bench data --data-path ./photos");
  const { benchData } = await import("../bench/data.ts");
  const { inputSize, workers } = options;
  const result = await benchData({ plan: planImages(options), inputSize, workers, rounds: flags.rounds });
  const rate = ({ imagesPerSecond, imagesPerCpuSecond }: LoaderRate): string =>
    `${integer(imagesPerSecond)} images/s, ${integer(imagesPerCpuSecond)} a second of one core`;
  output.result(result, () =>
    [
      `images read and prepared at ${[result.inputSize].flat().join(" × ")} pixels, ${result.workers} workers`,
      facts([
        ["crop and flip", rate(result)],
        ["whole recipe", rate(result.recipe)],
      ]),
    ].join("\n"),
  );
}
