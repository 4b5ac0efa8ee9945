/** `deit bench`: how fast training, inference, matrix products and the loader are on this machine. */
import { Option } from "commander";
import type { Command } from "commander";
import type { LoaderRate } from "../../benchmark/data.ts";
import type { BenchOptions } from "../../benchmark/throughput.ts";
import type { TrainOptionName } from "../../config/schema.ts";
import { requirePictures, resolveTrainOptions } from "../../config/resolve.ts";
import { facts, integer, mebibytes, short } from "../format.ts";
import { createOutput } from "../output.ts";
import { addSchemaFlags, flagLayer, givenOptions } from "../schema-flags.ts";
import { wholeNumber } from "../whole-number.ts";

const MODEL = ["model", "inputSize", "batchSize", "device", "threads"] as const;
const PICTURES: readonly TrainOptionName[] = [
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
  const bench = program.command("bench").description("Measure how fast this machine is.");
  const add = (name: string, description: string, options: readonly TrainOptionName[]): Command => {
    const command = bench.command(name).description(description);
    addSchemaFlags(command, options, { groups: false, defaults: false });
    return command
      .addOption(
        new Option("--rounds <N>", "timed rounds, of which the median counts (default: 15)").argParser(
          wholeNumber("rounds"),
        ),
      )
      .option("--json", "print the result as one JSON document");
  };
  add("train", "Time training steps: forward, backward and update.", MODEL).action(runModel("train"));
  add("infer", "Time forward passes.", MODEL).action(runModel("infer"));
  add(
    "gemm",
    "Time the model's own matrix products: the peak that the others are compared with.",
    MODEL,
  ).action(runGemm);
  add("data", "Time reading and preparing pictures.", PICTURES).action(runData);
  bench.addHelpText(
    "after",
    `\nWithout --model: ${DEFAULT_MODEL}.\n\nExample:\n  deit bench train --model deit_tiny_patch16_224 --batch-size 8`,
  );
}

interface BenchFlags {
  rounds?: number;
  json?: true;
}

const DEFAULT_MODEL = "deit_tiny_distilled_patch16_224";

/** The flags as the benchmarks of a model take them. */
function modelOptions(flags: BenchFlags, command: Command): BenchOptions {
  const { model = DEFAULT_MODEL, inputSize, batchSize, device, threads } = givenOptions(command, MODEL);
  return {
    model,
    ...(inputSize && { inputSize }),
    ...(batchSize && { batchSize }),
    ...(device && { device }),
    ...(threads && { threads }),
    ...(flags.rounds && { rounds: flags.rounds }),
  };
}

function runModel(what: "train" | "infer") {
  return async (flags: BenchFlags, command: Command): Promise<void> => {
    const output = createOutput({ json: flags.json });
    const { benchTrain, benchInfer } = await import("../../benchmark/throughput.ts");
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

async function runGemm(flags: BenchFlags, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { benchGemm } = await import("../../benchmark/gemm.ts");
  const result = await benchGemm(modelOptions(flags, command));
  output.result(
    result,
    () => `${short(result.gemmPeakGflops)} GFLOP/s on ${result.device}, ${result.threads} threads`,
  );
}

async function runData(flags: BenchFlags, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { options } = resolveTrainOptions([flagLayer(command)]);
  requirePictures(options, "deit bench data --data-path ./photos");
  const { benchData } = await import("../../benchmark/data.ts");
  const result = await benchData({ options, rounds: flags.rounds });
  const rate = ({ imagesPerSecond, imagesPerCpuSecond }: LoaderRate): string =>
    `${integer(imagesPerSecond)} images/s, ${integer(imagesPerCpuSecond)} a second of one core`;
  output.result(result, () =>
    [
      `pictures read and prepared at ${[result.inputSize].flat().join(" × ")} pixels, ${result.workers} workers`,
      facts([
        ["crop and flip", rate(result)],
        ["whole recipe", rate(result.recipe)],
      ]),
    ].join("\n"),
  );
}
