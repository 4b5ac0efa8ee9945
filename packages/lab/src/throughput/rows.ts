/** What a table of throughput has a row for: each named model at each size that it takes, with what is known before a run. */
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { ConfigError, DataError, listModels, openClassifier } from "deit-ts";
import type { Model } from "deit-ts";
import { countParameters, createModel } from "deit-ts/models";
import { didYouMean, firstLine, modelFolder, namedCheckpoint, onnxCost } from "deit-ts/studies";

/** Kinds of models, which figures tell apart. */
export type Family = "DeiT" | "DeiT⚗" | "RegNetY" | "ResNet" | "ONNX" | "ViT";

export interface ThroughputRow {
  /** Unlike every other row's, but for the size. */
  readonly name: string;
  readonly family: Family;
  /** Registered name, or the checkpoint as it was given, without a name. */
  readonly given: string;
  readonly registered: boolean;
  /** [height, width]. */
  readonly inputSize: readonly [number, number];
  readonly parameters: number;
  /** Of the paper's model for one image, whatever shortcuts a program takes; null where they cannot be determined. */
  readonly macs: number | null;
  /** Where the weights come from; null: they are random, and there is no accuracy. */
  readonly weights: string | null;
  /** The only batch size that it takes; null: any. */
  readonly fixedBatch: number | null;
}

export interface RowsOptions {
  /** Registered names, patterns of them (`deit_*_224`), checkpoints; `name=path` gives one a name. */
  readonly models: readonly string[];
  /** Sides in pixels; default: each model's own. */
  readonly sizes?: readonly number[] | undefined;
  /** Name of the model, for checkpoints that do not say what they are. */
  readonly model?: string | undefined;
}

/**
 * The rows, models in the given order, and what was left out.
 * @throws ConfigError for a name that is neither model nor file, and when no model takes any of the sizes; what
 * `openClassifier` throws for files that are not classifiers
 */
export async function throughputRows({
  models,
  sizes,
  model,
}: RowsOptions): Promise<{ rows: ThroughputRow[]; notes: string[] }> {
  const tabled: TabledModel[] = [];
  const notes: string[] = [];
  for (const { name, path } of models.map(namedCheckpoint)) {
    for (const given of matching(path)) {
      const registered = isRegistered(given);
      const make = registered ? registeredRow : checkpointRow;
      if (!registered) await checkThere(given);
      const own = await make(given, { model });
      const rows: ThroughputRow[] = [];
      for (const size of sizes ?? [null]) {
        const isOwn = size === null || own.inputSize.every((side) => side === size);
        const row = isOwn ? own : await make(given, { model, size }).catch(refusal);
        if ("refused" in row) notes.push(`${name ?? own.name} at ${size} pixels is left out: ${row.refused}`);
        else rows.push(row);
      }
      const asFound = { rows, nameless: name === undefined };
      tabled.push(name === undefined ? asFound : renamed(asFound, () => name));
    }
  }
  const rows = distinct(tabled);
  if (rows.length > 0) return { rows, notes };
  throw new ConfigError("sizes", ["there is nothing to measure", ...notes].join("\n"), {
    code: "options/value",
    hint: "Leave --sizes out for each model's own.",
  });
}

/** Models of a pattern; anything else is itself. */
function matching(given: string): string[] {
  if (!given.includes("*")) return [given];
  const found = listModels(given).map(({ name }) => name);
  if (found.length > 0) return found;
  throw new ConfigError("models", `no model's name matches ${given}`, {
    code: "model/unknown-name",
    hint: "deit models lists them all.",
  });
}

function isRegistered(given: string): boolean {
  return listModels(given).some(({ name }) => name === given);
}

/** Whether a word may be a path, a Hub id or an address. @throws ConfigError with the models that may have been meant */
async function checkThere(given: string): Promise<void> {
  if (/[./:]/.test(given) || (await stat(given).catch(() => undefined)) !== undefined) return;
  const suggestion = didYouMean(
    given,
    listModels().map(({ name }) => name),
  );
  throw new ConfigError("models", `${given} is neither a model nor a file`, {
    code: "model/unknown-name",
    hint: `${suggestion} deit models lists the models; files are .safetensors, .pth, .onnx and run folders.`.trim(),
  });
}

function refusal(error: unknown): { refused: string } {
  if (error instanceof ConfigError || error instanceof DataError) return { refused: firstLine(error) };
  throw error;
}

interface MakeOptions {
  readonly model?: string | undefined;
  readonly size?: number | undefined;
}

async function registeredRow(given: string, { size }: MakeOptions): Promise<ThroughputRow> {
  const model = createModel(given, { inputSize: size });
  return { name: given, given, registered: true, weights: null, fixedBatch: null, ...costOf(model) };
}

async function checkpointRow(given: string, { model, size }: MakeOptions): Promise<ThroughputRow> {
  const { name, file, source, inputSize } = await openClassifier(given, { model, inputSize: size });
  const shared = { given, registered: false, weights: file };
  if (!("onnx" in source)) return { name, ...shared, fixedBatch: null, ...costOf(source.model) };
  const cost = await onnxCost(source);
  const fixedBatch = source.onnx.input.batch ?? null;
  return { name: onnxName(file, name), ...shared, family: "ONNX", inputSize, fixedBatch, ...cost };
}

function costOf(model: Model): Pick<ThroughputRow, "family" | "inputSize" | "parameters" | "macs"> {
  const { macs, config } = model;
  return { family: familyOf(model), inputSize: config.inputSize, parameters: countParameters(model), macs };
}

function familyOf({ name, config: { distilled } }: Model): Family {
  if (name.startsWith("regnety_")) return "RegNetY";
  if (name.startsWith("resnet")) return "ResNet";
  if (!name.startsWith("deit_")) return "ViT";
  return distilled ? "DeiT⚗" : "DeiT";
}

/** Many are called model.onnx: then the folder says what it is. */
function onnxName(file: string, name: string): string {
  if (!/^model(?:_\w+)?\.onnx$/.test(name)) return name;
  return basename(modelFolder(resolve(file)));
}

/** The rows of one model, of unlike sizes. */
interface TabledModel {
  readonly rows: readonly ThroughputRow[];
  /** Nobody named it. */
  readonly nameless: boolean;
}

/**
 * Checkpoints of one name and size get their file's name, with its folder, too; what people gave one name gets numbers.
 * Registered models are what they are called.
 */
function distinct(models: readonly TabledModel[]): ThroughputRow[] {
  const isUnlike = (a: TabledModel, b: TabledModel): boolean =>
    a.rows.every((row) => b.rows.every((other) => rowName(row) !== rowName(other)));
  const isAlone = (model: TabledModel, all: readonly TabledModel[]): boolean =>
    (model.nameless && model.rows.some(({ registered }) => registered)) ||
    all.every((other) => other === model || isUnlike(other, model));
  const byPath = models.map((model) =>
    isAlone(model, models) || !model.nameless
      ? model
      : renamed(model, ({ name, given }) => `${name} (${given.split(/[/\\]/).slice(-2).join("/")})`),
  );
  return byPath.flatMap((model, i) => {
    if (isAlone(model, byPath)) return model.rows;
    const number = 1 + byPath.slice(0, i).filter((other) => !isUnlike(other, model)).length;
    return renamed(model, ({ name }) => `${name} (${number})`).rows;
  });
}

function rowName({ name, inputSize }: ThroughputRow): string {
  return `${name} ${inputSize.join()}`;
}

function renamed(model: TabledModel, nameOf: (row: ThroughputRow) => string): TabledModel {
  return { ...model, rows: model.rows.map((row) => ({ ...row, name: nameOf(row) })) };
}
