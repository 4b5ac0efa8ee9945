/**
 * Damaged and hostile files of every format that weights come in, from a seed: bytes flipped, cut and repeated anywhere;
 * values of JSON replaced by absurd ones, also inside safetensors' headers and their metadata; opcodes of pickles. And
 * what reads them: everything that a command does with a checkpoint before it is run.
 */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DeitError } from "../../src/errors.ts";
import { openCheckpoint } from "../../src/evaluation/checkpoints/checkpoint.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { huggingFaceConfig, timmConfig } from "../../src/formats/huggingface.ts";
import { huggingFaceTensors } from "../../src/formats/key-maps.ts";
import { encodeModelMetadata } from "../../src/formats/model-metadata.ts";
import { preprocessorConfig } from "../../src/formats/preprocessor.ts";
import { fromFloat32, serializeSafetensors } from "../../src/formats/safetensors.ts";
import type { FloatTensor } from "../../src/formats/safetensors.ts";
import { timmModel } from "../../src/export/timm.ts";
import { createModel, modelOf } from "../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import type { Random } from "../../src/random.ts";
import { createRandom } from "../../src/random.ts";
import { progressOf } from "../../src/training/loop/run-progress.ts";
import { encodeState } from "../../src/training/run/run-state.ts";
import { readState, readStateHeader } from "../../src/training/run/run-state-file.ts";
import { torchFile } from "../helpers/torch-file.ts";

/** A kind of file, whole: its name in the folder, what lies beside it, what reads it. */
export interface Specimen {
  readonly kind: string;
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly beside: Readonly<Record<string, Uint8Array>>;
  read(folder: string): Promise<void>;
}

const CLASSES = ["cat", "dog", "bird"];
const model = modelOf("vit_w8d2h2_patch4_16", {
  embedDim: 8,
  depth: 2,
  numHeads: 2,
  mlpRatio: 2,
  patchSize: 4,
  distilled: false,
  inputSize: [16, 16],
  numClasses: 3,
});
const layout = modelLayout(model);
const tensors = unpackTensors(layout, initialVectors(layout, createRandom(0, "weights")));
const prepared = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25], cropRatio: 0.875 } as const;
const json = (content: unknown): Uint8Array => Buffer.from(JSON.stringify(content));
const file = (of: ReadonlyMap<string, FloatTensor>, metadata: Record<string, string> = {}): Uint8Array =>
  serializeSafetensors({
    tensors: new Map([...of].map(([name, tensor]) => [name, fromFloat32(tensor)])),
    metadata,
  });
const under = (prefix: string): Map<string, FloatTensor> =>
  new Map([...tensors].map(([name, tensor]) => [prefix + name, tensor]));

/** What a command does with a checkpoint before it runs it. */
async function readAll(path: string): Promise<void> {
  {
    await using checkpoint = await openCheckpoint(path);
    for (const name of [...checkpoint.file.tensors.keys()].slice(0, 200))
      await checkpoint.file.readFloat32(name);
  }
  await loadModel(path);
}

/** Whole files of every format. */
export function specimens(): Specimen[] {
  const { transformer } = model;
  if (transformer === undefined) throw new Error("unreachable");
  const registered = createModel("deit_w64d4_patch4_32", { numClasses: 3, inputSize: 16 });
  const ofRun = modelLayout(registered);
  const own = file(unpackTensors(ofRun, initialVectors(ofRun, createRandom(0, "run"))), {
    ...encodeModelMetadata({
      model: "deit_w64d4_patch4_32",
      classes: CLASSES,
      inputSize: [16, 16],
      mean: prepared.mean,
      std: prepared.std,
      epoch: 3,
      metrics: { acc1: 50 },
      extra: { crop_ratio: "0.875", weights: "trained" },
    }),
  });
  const bare = file(tensors);
  const ofConvnet = modelLayout(createModel("resnet20_cifar", { numClasses: 3 }));
  const huggingFace = {
    "config.json": json(huggingFaceConfig(transformer, { classes: CLASSES })),
    "preprocessor_config.json": json(preprocessorConfig({ inputSize: [16, 16], ...prepared })),
  };
  const timm = {
    "config.json": json(timmConfig(timmModel(model), { inputSize: [16, 16], ...prepared, classes: CLASSES })),
  };
  const index = json({
    metadata: {},
    weight_map: Object.fromEntries([...tensors.keys()].map((name) => [name, "model-1.safetensors"])),
  });
  const theirs = huggingFaceTensors(tensors, { distilled: false });
  const bin = torchFile(theirs);
  const both = torchFile(
    new Map<string, never>(
      Object.entries({ model: tensors, model_ema: under("module."), epoch: 3 }) as never,
    ),
  );
  const vectors = {
    "W.decay": new Float32Array(40),
    "M.decay": new Float32Array(40),
    "V.decay": new Float32Array(40),
  };
  const counters = { epoch: 2, step: 3, updates: 19, lossSums: { loss: 3.5 }, skipped: 0, lost: 0 };
  const best = { epoch: 1, acc1: 50, acc5: 100, loss: 1, since: 1, weights: "trained" };
  const { tensors: stored, metadata } = encodeState(
    { vectors, counters: { ...counters, best } },
    { log: [], args: { model: "x", lr: 1 } },
  );
  const weightsOf = (name: string) => async (folder: string) => readAll(join(folder, name));
  return [
    {
      kind: "safetensors",
      file: "model.safetensors",
      bytes: bare,
      beside: timm,
      read: weightsOf("model.safetensors"),
    },
    { kind: "safetensors of a run", file: "best.safetensors", bytes: own, beside: {}, read: weightsOf("") },
    { kind: "pth", file: "model.pth", bytes: both, beside: timm, read: weightsOf("model.pth") },
    { kind: "bin", file: "pytorch_model.bin", bytes: bin, beside: huggingFace, read: weightsOf("") },
    ...Object.entries(huggingFace).map(([name, bytes]) => ({
      kind: name,
      file: name,
      bytes,
      beside: { ...huggingFace, "model.safetensors": file(theirs) },
      read: weightsOf(""),
    })),
    {
      kind: "timm's config.json",
      file: "config.json",
      bytes: timm["config.json"],
      beside: { "model.safetensors": bare },
      read: weightsOf(""),
    },
    {
      kind: "index",
      file: "model.safetensors.index.json",
      bytes: index,
      beside: { "model-1.safetensors": bare, ...timm },
      read: weightsOf("model.safetensors.index.json"),
    },
    {
      kind: "convnet",
      file: "convnet.safetensors",
      bytes: file(unpackTensors(ofConvnet, initialVectors(ofConvnet, createRandom(0, "convnet")))),
      beside: {},
      read: weightsOf("convnet.safetensors"),
    },
    {
      kind: "state",
      file: "state.safetensors",
      bytes: file(stored, metadata),
      beside: {},
      async read(folder) {
        const path = join(folder, "state.safetensors");
        await readStateHeader(path);
        const progress = progressOf((await readState(path)).counters);
        const numbers = [progress.epoch, progress.step, progress.updates, progress.skipped, progress.lost];
        if (!numbers.every((number) => Number.isSafeInteger(number) && number >= 0))
          throw new Error(`counters ${numbers.join()} were read`);
      },
    },
  ];
}

/** Values where others belong. */
const ABSURD: readonly (() => unknown)[] = [
  () => null,
  () => true,
  () => -1,
  () => 0,
  () => 0.5,
  () => 1e308,
  () => 2 ** 53,
  () => 2 ** 32,
  () => 65_537,
  () => 4096,
  () => "",
  () => "\u001b[31m\u202e",
  () => "\ud800",
  () => "x".repeat(100_000),
  () => "__proto__",
  () => [],
  () => ({}),
  () => [1, 2, 3],
  () => [65_536, 65_536],
  () => Array.from({ length: 20_000 }, () => ""),
  () => Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [i, i])),
];
const NAMES = ["__proto__", "constructor", "toString", "", "a".repeat(5000), "blocks.999999.attn.qkv.weight"];
const OPCODES =
  "().012FIJKLMNQRUVXabcdeghijlopqrstu}]\u0080\u0081\u0085\u0086\u0087\u0088\u0089\u008a\u008c\u008e\u0093\u0094\u0095";

/** The file of a seed: of that specimen, damaged. Equal seeds give equal files. */
export function mutant({ kind, bytes }: Specimen, random: Random): Uint8Array {
  const isJson = bytes[0] === 0x7b;
  const isSafetensors = bytes[8] === 0x7b;
  if (isJson && random.integer(4) > 0) return Buffer.from(mutatedJson(Buffer.from(bytes).toString(), random));
  if (isSafetensors && random.integer(3) > 0) return mutatedHeader(bytes, random);
  if (/pth|bin/.test(kind) && random.integer(2) > 0) return mutatedPickle(bytes, random);
  return mutatedBytes(bytes, random, isSafetensors ? 0.7 : 0);
}

/** Most often one change: the first one found ends the reading. */
const few = (random: Random): number => 1 + (random.integer(3) === 0 ? random.integer(4) : 0);

/** `headBias`: how often a change is in the first 4 KiB. */
function mutatedBytes(bytes: Uint8Array, random: Random, headBias = 0): Uint8Array {
  let copy = Uint8Array.from(bytes);
  const place = (): number =>
    random.integer(random.uniform() < headBias ? Math.min(copy.length, 4096) : Math.max(copy.length, 1));
  for (let change = few(random); change > 0; change--) {
    const at = place();
    const length = 1 + random.integer(64);
    const kind = random.integer(7);
    if (kind === 0) copy[at] = (copy[at] ?? 0) ^ (1 << random.integer(8));
    else if (kind === 1) copy[at] = random.integer(256);
    else if (kind === 2) copy = copy.slice(0, at);
    else if (kind === 3) copy.copyWithin(at, place(), place() + length);
    else if (kind === 4)
      copy.fill([0, 0xff, 0x7f][random.integer(3)] ?? 0, at, Math.min(copy.length, at + length));
    else if (kind === 5) copy[at] = '{}[]",:\\-e.09'.charCodeAt(random.integer(13));
    else copy = Buffer.concat([copy.subarray(0, at), copy.subarray(place(), place()), copy.subarray(at)]);
  }
  return copy;
}

/** One to three values replaced, removed or renamed; now and then the text cut, or nested a hundred thousand deep. */
function mutatedJson(text: string, random: Random): string {
  if (random.integer(20) === 0) return text.slice(0, random.integer(text.length));
  let value: unknown = JSON.parse(text);
  let deep: string | undefined;
  for (let change = few(random); change > 0; change--) {
    const spots: { holder: object; key: string }[] = [];
    const walk = (holder: unknown): void => {
      if (typeof holder !== "object" || holder === null || spots.length > 2000) return;
      for (const key of Object.keys(holder)) {
        spots.push({ holder, key });
        walk(Reflect.get(holder, key));
      }
    };
    walk(value);
    const spot = spots[random.integer(Math.max(1, spots.length))];
    if (spot === undefined || random.integer(40) === 0) {
      value = ABSURD[random.integer(ABSURD.length)]?.();
      continue;
    }
    const { holder, key } = spot;
    const kind = random.integer(10);
    const old: unknown = Reflect.get(holder, key);
    if (kind === 0) Reflect.deleteProperty(holder, key);
    else if (kind === 1) {
      Reflect.deleteProperty(holder, key);
      Object.defineProperty(holder, NAMES[random.integer(NAMES.length)] ?? "", {
        value: old,
        enumerable: true,
        configurable: true,
      });
    } else if (kind === 2 && typeof old === "string" && /^[[{"\d]/.test(old)) {
      Reflect.set(holder, key, mutatedText(old, random)); // JSON in JSON
    } else if (kind === 3) {
      deep = random.integer(2) === 0 ? "[" : '{"a":';
      Reflect.set(holder, key, "\u0001deep");
    } else Reflect.set(holder, key, ABSURD[random.integer(ABSURD.length)]?.());
  }
  const result = JSON.stringify(value) ?? "undefined";
  if (deep === undefined) return result;
  const end = deep === "[" ? "]" : "}";
  return result.replace('"\\u0001deep"', () => `${deep.repeat(100_000)}1${end.repeat(100_000)}`);
}

function mutatedText(text: string, random: Random): string {
  try {
    return mutatedJson(text, random);
  } catch {
    return text.slice(0, random.integer(text.length + 1));
  }
}

/** The header as JSON, its length put right most of the time. */
function mutatedHeader(bytes: Uint8Array, random: Random): Uint8Array {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = Buffer.from(mutatedJson(Buffer.from(bytes.subarray(8, 8 + length)).toString(), random));
  const prefix = new DataView(new ArrayBuffer(8));
  const wrong = [0n, 1n << 63n, BigInt(header.length + 1), 99_999_999n][random.integer(4)] ?? 0n;
  prefix.setBigUint64(0, random.integer(20) === 0 ? wrong : BigInt(header.length), true);
  return Buffer.concat([new Uint8Array(prefix.buffer), header, bytes.subarray(8 + length)]);
}

/** Opcodes and numbers within data.pkl, whose sizes stay. */
function mutatedPickle(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = Buffer.from(bytes);
  const start = copy.indexOf("data.pkl") + "data.pkl".length;
  const end = copy.indexOf("PK", start);
  for (let change = few(random); change > 0; change--) {
    const at = start + random.integer(end - start);
    const kind = random.integer(4);
    if (kind === 0) copy[at] = OPCODES.charCodeAt(random.integer(OPCODES.length)) & 0xff;
    else if (kind === 1) copy[at] = [0, 1, 0x7f, 0xff, 0x80][random.integer(5)] ?? 0;
    else if (kind === 2)
      copy.copyWithin(at, start + random.integer(end - start), at + 1 + random.integer(40));
    else {
      // a value kept and recalled twice in a tuple, again and again: 2^n of them for whoever walks through
      const bomb = Buffer.alloc(Math.min(end - at, 12 * (1 + random.integer(30))));
      for (let i = 0; i + 6 <= bomb.length; i += 6) bomb.set([0x71, i & 0xff, 0x68, i & 0xff, 0x86, 0x30], i);
      bomb.copy(copy, at);
    }
  }
  return copy;
}

export interface Outcome {
  readonly seed: number;
  readonly kind: string;
  /** Of processor time, as the machine may be busy with other work. */
  readonly milliseconds: number;
  /** The code of the error, "read", or what went wrong: an error that is none of ours. */
  readonly result: string;
  readonly fault: string | undefined;
}

/** Makes the file of `seed` in a folder of its own, reads it, and says what came of it. Errors of ours have codes and short words. */
export async function tryMutant(root: string, seed: number, of: readonly Specimen[]): Promise<Outcome> {
  const random = createRandom(seed, "mutants");
  const specimen = of[random.integer(of.length)];
  if (specimen === undefined) throw new RangeError("no specimens");
  const folder = join(root, "mutant");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(specimen.beside)) await writeFile(join(folder, name), bytes);
  await writeFile(join(folder, specimen.file), mutant(specimen, random));
  const start = process.cpuUsage();
  const error: unknown = await specimen.read(folder).then(
    () => undefined,
    (cause: unknown) => cause ?? new TypeError("undefined was thrown"),
  );
  const { user, system } = process.cpuUsage(start);
  const milliseconds = (user + system) / 1000;
  const { kind } = specimen;
  if (error === undefined) return { seed, kind, milliseconds, result: "read", fault: undefined };
  if (error instanceof DeitError) {
    const { code, message } = error;
    const fault =
      code === "internal"
        ? `no code: ${message}`
        : message.length > 10_000
          ? `${message.length} characters`
          : undefined;
    return { seed, kind, milliseconds, result: code, fault };
  }
  const trace = error instanceof Error ? (error.stack ?? error.message) : "no error was thrown";
  return { seed, kind, milliseconds, result: "fault", fault: trace };
}
