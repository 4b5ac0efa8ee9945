/**
 * The names of a model's tensors: timm's (which are the reference's and ours), those of the authors of DeiT III and DINOv2,
 * and Hugging Face's for `vit`, `deit` and `dinov2`, whose queries, keys and values are three matrices where timm stacks them
 * into one. No shapes of models are known here (architecture.ts), and unknown names are left as they are, so that loading
 * reports them.
 */
import { CheckpointError, FormatError } from "../errors.ts";
import type { WeightsChoice } from "./find-weights.ts";
import { findWeights } from "./find-weights.ts";
import type { FloatTensor, Tensor } from "./safetensors.ts";
import { fromFloat32 } from "./safetensors.ts";
import { DTYPE_BYTES } from "./safetensors-header.ts";
import type { TensorFile, TensorInfo } from "./tensor-source.ts";

/** A file seen under timm's names. Reading takes the file's own tensors, and stacks queries, keys and values. */
export interface TimmView extends TensorFile {
  /** Whose names the file has. */
  readonly names: "timm" | "huggingface" | "unknown";
  /** Tensors that take no part in classification (a pooler, a mask token), by their names in the file. */
  readonly ignored: readonly string[];
  /** What was supplied that the file has not, as sentences for the user. */
  readonly notes: readonly string[];
}

/** One tensor of the view: the file's tensors of which it is made, stacked along the first axis; zeros without any. */
interface Origin extends TensorInfo {
  readonly parts: readonly string[];
}

/** timm → Hugging Face on disk, outside and inside the blocks. */
const OUTSIDE = {
  cls_token: "embeddings.cls_token",
  dist_token: "embeddings.distillation_token",
  pos_embed: "embeddings.position_embeddings",
  "patch_embed.proj": "embeddings.patch_embeddings.projection",
  norm: "layernorm",
} as const;
const INSIDE = {
  norm1: "layernorm_before",
  "attn.q": "attention.attention.query",
  "attn.k": "attention.attention.key",
  "attn.v": "attention.attention.value",
  "attn.proj": "attention.output.dense",
  norm2: "layernorm_after",
  "mlp.fc1": "intermediate.dense",
  "mlp.fc2": "output.dense",
} as const;

/** Hugging Face, without `vit.` or `deit.` → timm. */
const FROM_OUTSIDE: ReadonlyMap<string, string> = new Map([
  ...Object.entries(OUTSIDE).map(([timm, theirs]): [string, string] => [theirs, timm]),
  ["classifier", "head"],
  ["cls_classifier", "head"],
  ["distillation_classifier", "head_dist"],
]);
/** The second column: transformers 5 in memory (`torch.save(model.state_dict())`); it saves the first. */
const FROM_INSIDE: ReadonlyMap<string, string> = new Map([
  ...Object.entries(INSIDE).map(([timm, theirs]): [string, string] => [theirs, timm]),
  ["attention.q_proj", "attn.q"],
  ["attention.k_proj", "attn.k"],
  ["attention.v_proj", "attn.v"],
  ["attention.o_proj", "attn.proj"],
  ["mlp.fc1", "mlp.fc1"],
  ["mlp.fc2", "mlp.fc2"],
  // of dinov2, and dinov2_with_registers
  ["norm1", "norm1"],
  ["norm2", "norm2"],
]);
/** Whole names of dinov2 and dinov2_with_registers, inside a block and outside. */
const FACTORS: ReadonlyMap<string, string> = new Map([
  ["layer_scale1.lambda1", "ls1.gamma"],
  ["layer_scale2.lambda1", "ls2.gamma"],
]);
const REGISTERS = "embeddings.register_tokens";
/** Of the base model's pooler and of masked pre-training: no classifier reads them. */
const IDLE = /^(?:pooler\.dense\.|decoder\.|embeddings\.(?:mask_token|position_ids)$)/;
/** The authors' names for timm's: of DeiT III and of DINOv2. */
const AUTHORS: readonly (readonly [RegExp, string])[] = [
  [/^(blocks\.\d+)\.gamma_([12])$/, "$1.ls$2.gamma"],
  [/^register_tokens$/, "reg_token"],
];
/** Of DINOv2's pre-training. */
const AUTHORS_IDLE = "mask_token";

/**
 * The file's model under timm's names, whichever of timm's, the reference's or Hugging Face's it has, under whatever
 * prefix (find-weights.ts). Nothing is read; closing closes the file.
 * @param weights which of several models
 * @throws FormatError when two tensors get the same name, when queries, keys and values cannot be stacked, or when the
 * choice of weights is not there
 */
export function timmView(
  file: TensorFile,
  { weights }: { weights?: WeightsChoice | undefined } = {},
): TimmView {
  const isAveraged = file.metadata["weights"] === "averaged"; // as our runs write it
  const { names: bare, notes: found } = findWeights(file.tensors.keys(), {
    path: file.path,
    weights,
    isAveraged,
  });
  const names = namesOf(bare);
  const ignored: string[] = [];
  const notes = [...(file.notes ?? []), ...found];
  const origins = new Map<string, Origin>();
  for (const [name, stored] of bare) {
    const info = file.tensors.get(stored);
    if (info === undefined) continue;
    const isIdle = names === "huggingface" ? IDLE.test(withoutModelType(name)) : name === AUTHORS_IDLE;
    if (isIdle && names !== "unknown") {
      ignored.push(stored);
      continue;
    }
    const timm =
      names === "huggingface" ? (timmName(name) ?? name) : names === "timm" ? authorsName(name) : name;
    const rival = origins.get(timm)?.parts[0];
    if (rival !== undefined) throw ambiguous(file.path, timm, rival, stored);
    origins.set(timm, { ...info, parts: [stored] });
  }
  if (names === "huggingface") stackQueriesKeysValues(file.path, origins);
  if (names !== "unknown" && addZeroBiases(origins))
    notes.push("its queries, keys and values have no biases (qkv_bias false): zeros, which is the same");
  return { ...withPatchPositions(view(file, origins)), names, ignored, notes };
}

/** timm's name of a tensor of the authors' files; timm's own stay. */
function authorsName(name: string): string {
  const found = AUTHORS.find(([pattern]) => pattern.test(name));
  return found === undefined ? name : name.replace(...found);
}

/**
 * With registers timm has positions for patches alone; the authors and transformers have one for the class token, too, which
 * is added to that token here, as timm does it. Other files stay as they are.
 */
function withPatchPositions(file: TensorFile): TensorFile {
  const [token, positions] = [file.tensors.get("cls_token"), file.tensors.get("pos_embed")];
  const [, rows = 0, width = 0] = positions?.shape ?? [];
  const isWithClass = Number.isInteger(Math.sqrt(rows - 1)) && rows > 1;
  if (!file.tensors.has("reg_token") || token === undefined || positions === undefined || !isWithClass)
    return file;
  const shape = [1, rows - 1, width];
  const readFloat32: TensorFile["readFloat32"] = async (name) => {
    if (name !== "cls_token" && name !== "pos_embed") return file.readFloat32(name);
    const { data } = await file.readFloat32("pos_embed");
    if (name === "pos_embed") return { shape, data: data.slice(width) };
    const own = await file.readFloat32(name);
    return { ...own, data: own.data.map((value, i) => value + (data[i] ?? 0)) };
  };
  const isChanged = (name: string): boolean => name === "cls_token" || name === "pos_embed";
  return {
    ...file,
    tensors: new Map(
      [...file.tensors].map(([name, info]) => [
        name,
        isChanged(name) ? { dtype: "F32" as const, shape: name === "pos_embed" ? shape : info.shape } : info,
      ]),
    ),
    readFloat32,
    read: async (name) => (isChanged(name) ? fromFloat32(await readFloat32(name)) : file.read(name)),
  };
}

function namesOf(names: ReadonlyMap<string, unknown>): TimmView["names"] {
  if (names.has("patch_embed.proj.weight")) return "timm";
  const theirs = `${OUTSIDE["patch_embed.proj"]}.weight`;
  return ["", ...MODEL_TYPES].some((prefix) => names.has(prefix + theirs)) ? "huggingface" : "unknown";
}

const MODEL_TYPES = ["vit.", "deit.", "dinov2.", "dinov2_with_registers."] as const;

const withoutModelType = (name: string): string =>
  name.slice(MODEL_TYPES.find((type) => name.startsWith(type))?.length ?? 0);

/** timm's name of a Hugging Face tensor, with `attn.q` and so on for the parts of `attn.qkv`. */
function timmName(name: string): string | undefined {
  const bare = withoutModelType(name);
  if (bare === REGISTERS) return "reg_token";
  const [, block, factor = ""] = /^encoder\.layer\.(0|[1-9][0-9]{0,5})\.(.+)$/.exec(bare) ?? [];
  const scale = block === undefined ? undefined : FACTORS.get(factor);
  if (scale !== undefined) return `blocks.${block}.${scale}`;
  const [, module = bare, kind = ""] = /^(.+)(\.weight|\.bias)$/.exec(bare) ?? [];
  const [, index, rest = ""] = /^(?:encoder\.layer|layers)\.(0|[1-9][0-9]{0,5})\.(.+)$/.exec(module) ?? [];
  const timm = index === undefined ? FROM_OUTSIDE.get(module) : FROM_INSIDE.get(rest);
  if (timm === undefined) return undefined;
  return index === undefined ? timm + kind : `blocks.${index}.${timm}${kind}`;
}

/** Replaces blocks.i.attn.q, .k and .v by blocks.i.attn.qkv; where one is missing, the others keep the file's names. */
function stackQueriesKeysValues(file: string, origins: Map<string, Origin>): void {
  for (const name of origins.keys()) {
    const [, prefix, kind] = /^(blocks\.\d+\.attn\.)[qkv](\.weight|\.bias)$/.exec(name) ?? [];
    if (prefix === undefined || kind === undefined) continue;
    const names = ["q", "k", "v"].map((part) => `${prefix}${part}${kind}`);
    const found = names.flatMap((part) => origins.get(part) ?? []);
    for (const part of names) origins.delete(part);
    const [first] = found;
    if (first === undefined) continue;
    if (found.length < names.length) {
      for (const origin of found) origins.set(origin.parts.join(), origin);
      continue;
    }
    const equal = found.every(
      ({ dtype, shape }) => dtype === first.dtype && shape.join() === first.shape.join(),
    );
    if (!equal || first.shape.length === 0) {
      const shown = found.map(({ parts, dtype, shape }) => `${parts.join()} ${dtype} [${shape.join(", ")}]`);
      throw new FormatError(file, `its queries, keys and values differ: ${shown.join("; ")}`, {
        code: "checkpoint/damaged",
        hint: "A DeiT has one width and one type for all three. The file is damaged or of another model.",
      });
    }
    const [rows = 0, ...rest] = first.shape;
    origins.set(`${prefix}qkv${kind}`, {
      dtype: first.dtype,
      shape: [3 * rows, ...rest],
      parts: found.flatMap(({ parts }) => parts),
    });
  }
}

/** Zeros for the biases of queries, keys and values where no block has any: a file that has some has lost the others. */
function addZeroBiases(origins: Map<string, Origin>): boolean {
  const bias = /(?:query|key|value|[qkv]_proj|qkv|[qkv]_)\.?bias$/;
  if ([...origins.values()].some(({ parts }) => parts.some((name) => bias.test(name)))) return false;
  const weights = [...origins].filter(
    ([
      name,
      {
        shape: [rows, columns = 0],
      },
    ]) => /^blocks\.\d+\.attn\.qkv\.weight$/.test(name) && rows === 3 * columns,
  );
  for (const [name, { dtype, shape }] of weights)
    origins.set(name.replace(/weight$/, "bias"), { dtype, shape: shape.slice(0, 1), parts: [] });
  return weights.length > 0;
}

/** The file with other names. */
function view(file: TensorFile, origins: ReadonlyMap<string, Origin>): TensorFile {
  const find = (name: string): Origin => {
    const origin = origins.get(name);
    if (origin !== undefined) return origin;
    throw new FormatError(file.path, `has no tensor ${JSON.stringify(name)}`, {
      code: "checkpoint/no-tensor",
      hint: `Under timm's names it has ${origins.size}: ${[...origins.keys()].slice(0, 5).join(", ")}${origins.size > 5 ? ", …" : ""}`,
    });
  };
  const close = (): Promise<void> => file.close();
  return {
    path: file.path,
    metadata: file.metadata,
    tensors: new Map([...origins].map(([name, { dtype, shape }]) => [name, { dtype, shape }])),
    async read(name): Promise<Tensor> {
      const { dtype, shape, parts } = find(name);
      const data: Uint8Array[] = [];
      for (const part of parts) data.push((await file.read(part)).data);
      if (data.length === 0) data.push(new Uint8Array(DTYPE_BYTES[dtype] * elements(shape)));
      return { dtype, shape, data: stacked(data, (length) => new Uint8Array(length)) };
    },
    async readFloat32(name): Promise<FloatTensor> {
      const { shape, parts } = find(name);
      const data: Float32Array[] = [];
      for (const part of parts) data.push((await file.readFloat32(part)).data);
      if (data.length === 0) data.push(new Float32Array(elements(shape)));
      return { shape, data: stacked(data, (length) => new Float32Array(length)) };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

const elements = (shape: readonly number[]): number => shape.reduce((size, dim) => size * dim, 1);

/** One array of all; a single one itself. */
function stacked<T extends Uint8Array | Float32Array>(parts: readonly T[], create: (length: number) => T): T {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const all = create(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

function ambiguous(file: string, name: string, ...stored: string[]): FormatError {
  return new FormatError(file, `has two tensors for ${name}: ${stored.join(" and ")}`, {
    code: "checkpoint/several-models",
    hint: "It holds more than one model. Save the model that you need in a file of its own.",
  });
}

/**
 * A DeiT's tensors under the names that Hugging Face's files have; queries, keys and values are views of the stacked
 * ones. A plain model gets those of ViTForImageClassification, a distilled one those of
 * DeiTForImageClassificationWithTeacher, or of DeiTForImageClassification when it has no second head. Works on stored
 * tensors and on float32 ones; {@link timmView} is the inverse, bit for bit.
 * @throws CheckpointError when a tensor has no place there
 */
export function huggingFaceTensors<T extends Tensor | FloatTensor>(
  tensors: ReadonlyMap<string, T>,
  { distilled }: { distilled: boolean },
): Map<string, T> {
  const prefix = distilled ? "deit." : "vit.";
  const renamed = new Map<string, T>();
  const unexpected: string[] = [];
  for (const [name, tensor] of tensors) {
    const [, module = name, kind = ""] = /^(.+)(\.weight|\.bias)$/.exec(name) ?? [];
    const [, index, rest = ""] = /^blocks\.(\d+)\.(.+)$/.exec(module) ?? [];
    const put = (theirs: string, value: T): unknown => renamed.set(theirs + kind, value);
    const head = headName(module, { distilled, both: tensors.has("head_dist.weight") });
    const [rows = 0, ...columns] = tensor.shape;
    if (rest === "attn.qkv" && rows % 3 === 0) {
      const size = tensor.data.length / 3;
      for (const [i, part] of (["attn.q", "attn.k", "attn.v"] as const).entries()) {
        const data = tensor.data.subarray(i * size, (i + 1) * size);
        put(`${prefix}encoder.layer.${index}.${INSIDE[part]}`, {
          ...tensor,
          shape: [rows / 3, ...columns],
          data,
        });
      }
    } else if (index !== undefined && isKey(INSIDE, rest)) {
      put(`${prefix}encoder.layer.${index}.${INSIDE[rest]}`, tensor);
    } else if (head !== undefined) {
      put(head, tensor);
    } else if (isKey(OUTSIDE, module) && (distilled || module !== "dist_token")) {
      put(prefix + OUTSIDE[module], tensor);
    } else {
      unexpected.push(name);
    }
  }
  const missing = distilled && !tensors.has("dist_token") ? ["dist_token"] : [];
  if (unexpected.length + missing.length > 0) {
    const lines = [
      unexpected.length > 0
        ? `no place for ${unexpected.slice(0, 5).join(", ")}${unexpected.length > 5 ? ", …" : ""}`
        : "",
      missing.length > 0 ? `${missing.join()} is missing` : "",
    ];
    throw new CheckpointError(
      `these are not the tensors of a ${distilled ? "distilled" : "plain"} DeiT: ${lines.filter(Boolean).join("; ")}`,
      {
        code: "export/no-counterpart",
        missing,
        unexpected,
        hint: "Hugging Face's vit and deit hold only DeiTs; use --format safetensors for other models.",
      },
    );
  }
  return renamed;
}

function headName(
  module: string,
  { distilled, both }: { distilled: boolean; both: boolean },
): string | undefined {
  if (module === "head") return distilled && both ? "cls_classifier" : "classifier";
  return module === "head_dist" && distilled ? "distillation_classifier" : undefined;
}

function isKey<T extends object>(table: T, name: string): name is string & keyof T {
  return Object.hasOwn(table, name);
}
