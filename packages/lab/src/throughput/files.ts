/** What `deit analyze throughput --out DIR` writes: tables, figures, and all of it as one page. */
import { writeAnalysis } from "deit-ts/charts";
import type { Chart, PageSection } from "deit-ts/charts";
import { describeEnvironment } from "deit-ts/studies";
import { TABLE_5 } from "./paper-tables.ts";
import { accuracyFigure, batchesOf, memoryFigure, workFigure } from "./figures.ts";
import type { ThroughputTable } from "./measure.ts";
import type { SizeBy } from "./size-by.ts";

/** Where the measurements of a table are kept as they are made, in its folder. */
export const JOURNAL_FILE = "measurements.jsonl";

export interface ThroughputFilesOptions {
  /** Draw the paper's Table 5 beside it. */
  readonly paper?: boolean | undefined;
  readonly sizeBy?: SizeBy | undefined;
  /** What people call the images. */
  readonly evaluateOn?: string | undefined;
  /** What made it, as a user would type it. */
  readonly command?: string | undefined;
}

/** Writes into a folder, which is made. @returns the names of the files */
export async function writeThroughput(
  folder: string,
  table: ThroughputTable,
  { paper = false, sizeBy = "parameters", evaluateOn, command }: ThroughputFilesOptions = {},
): Promise<string[]> {
  const { machine, versions } = await describeEnvironment();
  const where = `${table.device}, ${table.threads} threads, ${machine.cpu ?? machine.platform}`;
  const figures: { name: string; title: string; lead: string; figure: Chart | undefined }[] = [
    {
      name: "accuracy",
      title: "Accuracy against speed",
      lead: `${ACCURACY}${paper && sizeBy === "memory" ? ` ${UNSIZED}` : ""}`,
      figure: accuracyFigure(table.rows, { paper, sizeBy, evaluateOn }),
    },
    {
      name: "memory",
      title: "Accuracy against memory",
      lead: memoryLead(table),
      figure: memoryFigure(table.rows, { paper, sizeBy, evaluateOn }),
    },
    { name: "work", title: "Speed against work", lead: WORK, figure: workFigure(table.rows, sizeBy) },
  ];
  const sections: PageSection[] = figures.flatMap(({ title, lead, figure }) =>
    figure === undefined ? [] : [{ title, lead, figure }],
  );
  const [head = [], ...rows] = shownRows(table);
  sections.push({
    title: "The numbers",
    lead: numbersLead(table),
    table: { head, rows, right: head.flatMap((_, i) => (i === 0 ? [] : [i])) },
  });
  if (paper) sections.push({ title: "The paper's Table 5", lead: PAPER, table: paperTable() });
  return writeAnalysis(folder, {
    files: { "throughput.json": { ...table, machine, versions }, "throughput.csv": csvRows(table) },
    figures: Object.fromEntries(figures.map(({ name, figure }) => [name, figure])),
    page: { title: "Throughput", kind: where, sections },
    command,
  });
}

const ACCURACY =
  "Figure 1 of the paper. On the dashed line nothing is both faster and more accurate. Panels have axes of their own: the machines differ, and so may the images.";
const WORK = "Forward passes. What lies higher makes more of the machine for the same multiply-accumulates.";
const UNSIZED = "The paper gives no memory: its points are rings of one size.";

/** @param table what the figure is of */
function memoryLead({ rows }: ThroughputTable): string {
  const batches = rows.every(({ batchSize }) => batchSize === rows[0]?.batchSize)
    ? `Every model computes ${batchesOf(rows)}.`
    : `The models compute ${batchesOf(rows)}, each the largest that fits: one --batch-size for all makes their memory comparable.`;
  return `The paper's closing claim is about this trade-off. On the dashed line nothing is both more accurate and content with less. ${batches}`;
}

function numbersLead({ device, runtimeMiB }: ThroughputTable): string {
  return [
    "Images a second by the median and by the mean time of a batch, each model's runs split over rounds that go through all models.",
    `Memory is the largest resident set of a process that has loaded a finished program and computes single images, or batches; ${runtimeMiB.toFixed(0)} MiB of it are there before the model is.`,
    "The batch is the largest power of two, up to --max-batch (64), with which that stays below --memory.",
    ...(device === "cpu"
      ? []
      : [
          `All this is memory of the host: what the models take on ${device} is not measured, and a batch is too large for it only when it refuses it.`,
        ]),
    "* is on the front of accuracy and speed, † on that of accuracy and memory.",
  ].join(" ");
}
const PAPER = "One V100 of 16 GB, float32, largest batch, mean of 30 runs; top-1 in percent.";

const HEAD = [
  "model",
  "pixels",
  "images/s",
  "mean",
  "batch",
  "top-1",
  "parameters",
  "GMACs",
  "MiB, one image",
  "MiB, batch",
] as const;

/** The table as people read it: its head, and a row for each model. */
export function shownRows({ rows }: ThroughputTable): string[][] {
  return [
    [...HEAD],
    ...rows.map((row) => [
      `${row.name}${row.weights === null ? " (random weights)" : ""}${row.pareto === true ? " *" : ""}${row.paretoMemory === true ? " †" : ""}`,
      row.inputSize[0] === row.inputSize[1] ? String(row.inputSize[0]) : row.inputSize.join("×"),
      digits(row.imagesPerSecond),
      digits(row.meanImagesPerSecond),
      String(row.batchSize),
      row.acc1 === null ? "–" : row.acc1.toFixed(2),
      row.parameters.toLocaleString("en-US"),
      row.macs === null ? "–" : (row.macs / 1e9).toFixed(row.macs < 1e8 ? 4 : 2),
      row.memoryMiB.toFixed(0),
      row.batchMemoryMiB.toFixed(0),
    ]),
  ];
}

/** Three that matter. */
function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function csvRows({ rows, device, threads }: ThroughputTable): (string | number)[][] {
  const head = [
    "model",
    "family",
    "weights",
    "height",
    "width",
    "images_per_second",
    "mean_images_per_second",
    "low_quartile",
    "high_quartile",
    "runs",
    "batch_size",
    "acc1",
    "acc5",
    "images",
    "parameters",
    "macs",
    "memory_mib",
    "batch_memory_mib",
    "pareto",
    "pareto_memory",
    "device",
    "threads",
  ];
  return [
    head,
    ...rows.map((row) => [
      row.name,
      row.family,
      row.weights ?? "random",
      ...row.inputSize,
      row.imagesPerSecond.toFixed(2),
      row.meanImagesPerSecond.toFixed(2),
      ...row.quartiles.map((rate) => rate.toFixed(2)),
      row.runs,
      row.batchSize,
      row.acc1?.toFixed(4) ?? "",
      row.acc5?.toFixed(4) ?? "",
      row.images ?? "",
      row.parameters,
      row.macs ?? "",
      row.memoryMiB.toFixed(1),
      row.batchMemoryMiB.toFixed(1),
      ...[row.pareto, row.paretoMemory].map((onFront) => (onFront === null ? "" : String(onFront))),
      device,
      threads,
    ]),
  ];
}

function paperTable(): NonNullable<PageSection["table"]> {
  return {
    head: ["model", "pixels", "images/s", "ImageNet", "ReaL", "V2", "million parameters"],
    rows: TABLE_5.map(({ name, size, imagesPerSecond, imagenet, real, v2, parameters }) => [
      name,
      size,
      imagesPerSecond.toFixed(1),
      imagenet.toFixed(1),
      real?.toFixed(1) ?? "–",
      v2?.toFixed(1) ?? "–",
      parameters,
    ]),
    right: [1, 2, 3, 4, 5, 6],
  };
}
