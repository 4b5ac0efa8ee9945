/** `deit analyze throughput`: images a second of many models, beside accuracy, work and memory (Table 5, Figure 1). */
import { basename, join, resolve } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import type { ThroughputOptions } from "../../throughput/measure.ts";
import type { SizeBy } from "../../throughput/size-by.ts";
import {
  ConfigError,
  namesImages,
  CHECKPOINT_KINDS,
  addCheckpointFlags,
  commandLine,
  createOutput,
  createProgress,
  givenOptions,
  makeFolder,
  preprocessingOptions,
  runDataset,
  table,
  wholeNumber,
  withInterrupt,
} from "deit-ts/cli";

const DATA_OPTIONS = ["dataPath", "dataSet", "valSplit", "seed"] as const;
const OPTIONS = [...DATA_OPTIONS, "model", "batchSize", "device", "threads"] as const;

interface ThroughputFlags {
  sizes?: number[];
  maxBatch?: number;
  memory?: number;
  runs?: number;
  rounds?: number;
  paper?: true;
  sizeBy?: SizeBy;
  out?: string;
  json?: true;
}

export function addThroughputCommand(analyze: Command): void {
  const throughput = analyze
    .command("throughput")
    .description("Speed, accuracy, work and memory of many models side by side (Table 5, Figure 1).")
    .argument(
      "<models...>",
      `names (deit models), patterns of them such as 'regnety_0*', and checkpoints: ${CHECKPOINT_KINDS}; name=… names one`,
    )
    .addOption(
      new Option(
        "--sizes <PIXELS>",
        "sides of the images, such as 160,224,384 (default: each model's own)",
      ).argParser(sizesOf),
    )
    .option(
      "--max-batch <N>",
      "largest batch to try, on any device (default: 64; more gains nothing on a CPU)",
      wholeNumber("max-batch"),
    )
    .option(
      "--memory <MIB>",
      "memory that a batch may take (default: four fifths of what is free)",
      wholeNumber("memory"),
    )
    .option("--runs <N>", "timed runs of each model (default: 30)", wholeNumber("runs"))
    .option(
      "--rounds <N>",
      "rounds over which the runs are split; each measures all models (default: 5)",
      wholeNumber("rounds"),
    )
    .option("--paper", "also draw the paper's Table 5")
    .addOption(
      new Option("--size-by <WHAT>", "what the area of a point shows (default: parameters)").choices([
        "parameters",
        "memory",
      ]),
    )
    .option("--out <DIR>", "write tables, figures and a page; the same command resumes where it stopped")
    .option("--json", "print the result as one JSON document");
  addCheckpointFlags(throughput, OPTIONS);
  throughput
    .addHelpText(
      "after",
      `
The protocol is the paper's: the largest batch that fits (--batch-size sets it) and
30 runs, here split over rounds so that drift of the machine affects all models alike.
Each model runs in its own process, which loads a finished program and computes: memory
is what this process takes from the machine, on any device. So on WebGPU and CUDA, too,
the machine's memory and --max-batch decide which batch fits; a batch that the device
refuses is halved. Models given by name have random weights, which are as fast as
trained ones; accuracy requires checkpoints and images. Rows marked * are on the Pareto
front of accuracy and speed, rows marked † on that of accuracy and memory per batch.

Examples:
  deit analyze throughput 'deit_*_224' 'regnety_0*' --paper --out throughput
  deit analyze throughput DeiT=model.safetensors mobilenet.onnx --sizes 160,224 \\
      --batch-size 16 --data-path ./imagenet --out throughput`,
    )
    .action(runThroughput);
}

async function runThroughput(models: string[], flags: ThroughputFlags, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { model, batchSize, device, threads, ...given } = givenOptions(command, OPTIONS);
  const { measureThroughput } = await import("../../throughput/measure.ts");
  const { JOURNAL_FILE, shownRows, writeThroughput } = await import("../../throughput/files.ts");
  const { sizes, maxBatch, memory, runs, rounds, out, paper, sizeBy } = flags;
  if (out !== undefined) await makeFolder(out); // says what is wrong before the work, not after
  const named = { dataPath: given.dataPath ?? null, dataSet: given.dataSet ?? "auto" };
  const measuresAccuracy = namesImages(named);
  const dataset = measuresAccuracy ? await runDataset(models, given) : { options: {}, notes: [] };
  for (const note of dataset.notes) output.warn(note);
  const options: ThroughputOptions = {
    models,
    sizes,
    model,
    batchSize,
    memoryMiB: memory,
    evaluateOn: measuresAccuracy ? { ...dataset.options, ...preprocessingOptions(command) } : undefined,
    journal: out === undefined ? undefined : join(out, JOURNAL_FILE),
    ...(maxBatch && { maxBatch }),
    ...(runs && { runs }),
    ...(rounds && { rounds }),
    ...(device && { device }),
    ...(threads && { threads }),
  };
  const progress = createProgress("measuring");
  const result = await withInterrupt(
    (signal) =>
      measureThroughput(options, {
        signal,
        onEvent(event) {
          if (event.type === "warning") output.warn(event.message);
          else progress.update(event.done, event.total, event.what);
        },
      }),
    () =>
      progress.line(
        out === undefined
          ? "stopping"
          : `stopping; what is measured is kept in ${out}: the same command resumes`,
      ),
  ).finally(progress.stop);
  const dataName = named.dataPath === null ? named.dataSet : basename(resolve(named.dataPath));
  const files =
    out === undefined
      ? []
      : await writeThroughput(out, result, {
          paper,
          sizeBy,
          evaluateOn: options.evaluateOn === undefined ? undefined : dataName,
          command: commandLine(),
        });
  output.result({ ...result, ...(out !== undefined && { out, files }) }, () =>
    [
      `${result.device}, ${result.threads} threads`,
      table(shownRows(result), { right: [1, 2, 3, 4, 5, 6, 7, 8, 9] }),
      ...(out === undefined ? [] : [`written to ${out}: ${files.join(", ")}`]),
    ].join("\n\n"),
  );
}

function sizesOf(text: string): number[] {
  const sizes = text.split(",").map(Number);
  if (sizes.every((size) => Number.isSafeInteger(size) && size > 0)) return [...new Set(sizes)];
  throw new ConfigError(
    "sizes",
    `--sizes: got ${JSON.stringify(text)}, expected pixels such as 160,224,384`,
    { code: "options/value" },
  );
}
