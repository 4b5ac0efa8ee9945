/**
 * What classes are called, as embeddings of texts: from a file of them, or by the text half of a CLIP or SigLIP model, run by
 * transformers.js, which is optional.
 */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { didYouMean } from "../config/names.ts";
import { ConfigError, DataError, firstLine } from "../errors.ts";
import { readCheckpoint } from "../formats/safetensors-file.ts";
import { loadTransformersJs } from "./transformers-js.ts";

export interface TextEmbeddings {
  readonly classes: readonly string[];
  /** [classes, width], row-major. */
  readonly data: Float32Array;
  readonly width: number;
  /** Factor of the cosines; undefined where nobody says. */
  readonly logitScale: number | undefined;
}

/** CLIP's parameter of this name is the natural logarithm of the factor. */
const SCALE = "logit_scale";

/**
 * Embeddings from a file: .safetensors with a tensor for each class, or .json with a list of numbers for each. A number or
 * tensor `logit_scale` is CLIP's parameter, a natural logarithm. `classes`: those that are wanted; default all.
 * @throws DataError for a file that is none, ConfigError for classes that it has not
 */
export async function readTextEmbeddings(
  file: string,
  { classes }: { readonly classes?: readonly string[] | undefined } = {},
): Promise<TextEmbeddings> {
  const found = /\.json$/i.test(file) ? await rowsOfJson(file) : await rowsOfTensors(file);
  const scale = found.get(SCALE);
  found.delete(SCALE);
  const names = classes ?? [...found.keys()];
  const missing = names.find((name) => !found.has(name));
  if (missing !== undefined)
    throw new ConfigError("classes", `${file} has no embedding of ${JSON.stringify(missing)}`, {
      code: "model/other-classes",
      hint: didYouMean(missing, [...found.keys()]) || `It has ${[...found.keys()].slice(0, 5).join(", ")}.`,
    });
  return embeddingsOf(file, {
    classes: names,
    rows: names.map((name) => found.get(name) ?? new Float32Array()),
    logitScale: scale?.length === 1 ? Math.exp(scale[0] ?? 0) : undefined,
  });
}

type Rows = Map<string, Float32Array>;

async function rowsOfJson(file: string): Promise<Rows> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw damaged(file, "cannot be read", cause);
  });
  const rows: Rows = new Map();
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw damaged(file, "is not JSON", cause);
  }
  if (typeof content !== "object" || content === null || Array.isArray(content))
    throw damaged(file, "is not an object of classes");
  for (const [name, value] of Object.entries(content)) {
    const numbers: unknown = typeof value === "number" ? [value] : value;
    if (!Array.isArray(numbers) || !numbers.every((x) => typeof x === "number"))
      throw damaged(file, `has no list of numbers for ${JSON.stringify(name)}`);
    rows.set(name, Float32Array.from(numbers));
  }
  return rows;
}

async function rowsOfTensors(file: string): Promise<Rows> {
  const { tensors } = await readCheckpoint(file);
  return new Map([...tensors].map(([name, { data }]) => [name, data]));
}

/** @throws DataError for rows of different widths, of no direction, or that are not finite */
function embeddingsOf(
  source: string,
  { classes, rows, logitScale }: Pick<TextEmbeddings, "classes" | "logitScale"> & { rows: Float32Array[] },
): TextEmbeddings {
  if (classes.length < 2 || new Set(classes).size < classes.length)
    throw new ConfigError("classes", `${source}: expected at least two different classes`, {
      code: "model/other-classes",
      hint: "Separate them by commas.",
    });
  const width = rows[0]?.length ?? 0;
  for (const [i, row] of rows.entries()) {
    const name = JSON.stringify(classes[i]);
    if (row.length !== width || width < 2)
      throw damaged(
        source,
        `has ${row.length} numbers for ${name} and ${width} for ${JSON.stringify(classes[0])}`,
      );
    if (!row.every(Number.isFinite)) throw damaged(source, `has numbers for ${name} that are not finite`);
    if (row.every((x) => x === 0)) throw damaged(source, `has only zeros for ${name}`);
  }
  if (logitScale !== undefined && !(Number.isFinite(logitScale) && logitScale > 0))
    throw damaged(source, `has a ${SCALE} that is not a logarithm of a factor`);
  const data = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) data.set(row, i * width);
  return { classes, data, width, logitScale };
}

function damaged(file: string, problem: string, cause?: unknown): DataError {
  return new DataError(file, `${file} ${problem}`, {
    code: "teacher/text-embeddings",
    hint: 'Expected .safetensors with a tensor [width] for each class, or .json as {"a cat": [0.1, …], …}, of the text encoder that belongs to the image encoder.',
    cause,
  });
}

/** Classes and files of the text half, by config.json's model_type. */
const ENCODERS = { clip: "CLIPTextModelWithProjection", siglip: "SiglipTextModel" } as const;

/**
 * Embeddings of texts by the model of a folder as transformers.js has it: config.json, tokenizer.json,
 * onnx/text_model.onnx. In `prompt` {} stands for the class.
 * @throws ConfigError without the package, for another kind of model, and for a prompt without {}
 */
export async function embedTexts(
  folder: string,
  { classes, prompt }: { readonly classes: readonly string[]; readonly prompt: string },
): Promise<TextEmbeddings> {
  if (!prompt.includes("{}"))
    throw new ConfigError("prompt", `the prompt ${JSON.stringify(prompt)} has no place for the class`, {
      code: "options/value",
      hint: 'Put {} where the class belongs: --prompt "a photo of a {}".',
    });
  const kind = await encoderOf(folder);
  const library = await loadTransformersJs();
  if (library === undefined)
    throw new ConfigError(
      "classes",
      "texts are embedded by @huggingface/transformers, which is not installed",
      {
        code: "teacher/no-text-encoder",
        hint: "Install it (npm install @huggingface/transformers), or give embeddings that were made elsewhere: --text-embeddings FILE.",
      },
    );
  const { AutoTokenizer, env } = library;
  const online = env.allowRemoteModels;
  env.allowRemoteModels = false;
  try {
    const place = resolve(folder);
    const tokenizer = await AutoTokenizer.from_pretrained(place);
    const model = await library[ENCODERS[kind]].from_pretrained(place, { dtype: "fp32", device: "cpu" });
    const texts = classes.map((name) => prompt.replaceAll("{}", name));
    checkLengths(texts, tokenizer);
    // SigLIP was trained on texts of full length
    const padding = kind === "siglip" ? "max_length" : true;
    const inputs: unknown = tokenizer(texts, { padding });
    const data = floatsOf(await model(inputs));
    await model.dispose();
    const width = data.length / classes.length;
    const rows = classes.map((_, i) => data.slice(i * width, (i + 1) * width));
    return embeddingsOf(folder, { classes, rows, logitScale: undefined });
  } catch (cause) {
    if (cause instanceof ConfigError || cause instanceof DataError) throw cause;
    throw noEncoder(folder, firstLine(cause), cause);
  } finally {
    env.allowRemoteModels = online;
  }
}

/** @throws ConfigError for a text of more tokens than the encoder takes: cut off, it would lose the end that is read */
function checkLengths(
  texts: readonly string[],
  tokenizer: { encode(text: string): number[]; readonly model_max_length?: number },
): void {
  const most = tokenizer.model_max_length ?? Number.POSITIVE_INFINITY;
  for (const text of texts) {
    const { length } = tokenizer.encode(text);
    if (length <= most) continue;
    const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
    throw new ConfigError(
      "classes",
      `${JSON.stringify(shown)} has ${length} tokens, the text encoder takes at most ${most}`,
      { code: "options/value", hint: "Shorten the names of classes or the prompt." },
    );
  }
}

async function encoderOf(folder: string): Promise<keyof typeof ENCODERS> {
  const file = join(folder, "config.json");
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw noEncoder(folder, "there is no config.json", cause);
  });
  const kind = /"model_type"\s*:\s*"(clip|siglip)"/.exec(text)?.[1];
  if (kind === "clip" || kind === "siglip") return kind;
  throw noEncoder(folder, "its config.json names no clip or siglip");
}

function noEncoder(folder: string, reason: string, cause?: unknown): ConfigError {
  return new ConfigError("classes", `${folder} has no text encoder: ${reason}`, {
    code: "teacher/no-text-encoder",
    hint: "Expected a CLIP or SigLIP folder of transformers.js (config.json, tokenizer.json, onnx/text_model.onnx), or embeddings that were made elsewhere: --text-embeddings FILE.",
    cause,
  });
}

function floatsOf(outputs: unknown): Float32Array {
  for (const name of ["text_embeds", "pooler_output"]) {
    const tensor: unknown =
      typeof outputs === "object" && outputs !== null ? Reflect.get(outputs, name) : undefined;
    const data: unknown =
      typeof tensor === "object" && tensor !== null ? Reflect.get(tensor, "data") : undefined;
    if (data instanceof Float32Array) return data;
  }
  throw new TypeError("it returns no text_embeds");
}
