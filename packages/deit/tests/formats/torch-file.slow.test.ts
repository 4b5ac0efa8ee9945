/** Files of torch.save: read as PyTorch reads them, with nothing run, and nothing believed. */
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { DeitError, FormatError } from "../../src/errors.ts";
import { timmView } from "../../src/formats/key-maps.ts";
import { readPickle } from "../../src/formats/pickle.ts";
import { fromFloat32, serializeSafetensors } from "../../src/formats/safetensors.ts";
import { openTensorFile } from "../../src/formats/tensor-file.ts";
import { createRandom } from "../../src/random.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { torchFile } from "../helpers/torch-file.ts";

const golden = (name: string): string => new URL(`../golden/torch-file/${name}`, import.meta.url).pathname;
interface Expected {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}
const expected = JSON.parse(await readFile(golden("expected.json"), "utf8")) as Readonly<
  Record<string, Expected>
>;

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
});

async function write(name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(root, name);
  await writeFile(path, bytes);
  return path;
}

async function readAll(path: string): Promise<Map<string, Float32Array>> {
  await using file = await openTensorFile(path);
  const all = new Map<string, Float32Array>();
  for (const name of file.tensors.keys()) all.set(name, (await file.readFloat32(name)).data);
  return all;
}

describe.each(["state.pth", "protocol4.pth"])("%s", (name) => {
  test.each(Object.entries(expected))("%s", async (tensor, { dtype, shape, values }) => {
    await using file = await openTensorFile(golden(name));
    const types: Readonly<Record<string, string>> = {
      "torch.float32": "F32",
      "torch.float16": "F16",
      "torch.bfloat16": "BF16",
      "torch.float64": "F64",
      "torch.int64": "I64",
      "torch.uint8": "U8",
      "torch.bool": "BOOL",
    };
    expect(file.tensors.get(tensor)).toEqual({ dtype: types[dtype], shape });
    const { data } = await file.readFloat32(tensor);
    expect([...data]).toEqual(values.map(Math.fround));
  });
});

describe("a training checkpoint", () => {
  test("names its tensors by all keys that lead to them; the optimizer's are passed over", async () => {
    const all = await readAll(golden("checkpoint.pth"));
    expect([...all.keys()]).toEqual([
      "model.0.weight",
      "model.0.bias",
      "model_ema.0.weight",
      "model_ema.0.bias",
    ]);
    expect([...(all.get("model_ema.0.weight") ?? [])]).toEqual([1, 1, 1, 1, 1, 1]);
    expect([...(all.get("model.0.weight") ?? [])]).not.toContain(1);
  });

  test("a tensor that is called as an optimizer is one is a tensor", async () => {
    const one = { shape: [1], data: Float32Array.of(3) };
    const path = await write(
      "scaler.pth",
      torchFile(
        new Map([
          ["scaler.weight", one],
          ["scheduler", one],
        ]),
      ),
    );
    expect([...(await readAll(path)).keys()]).toEqual(["scaler.weight", "scheduler"]);
  });

  test("the trained weights are taken, and the average when that is asked for", async () => {
    await using file = await openTensorFile(golden("checkpoint.pth"));
    expect([...timmView(file).tensors.keys()]).toEqual(["0.weight", "0.bias"]);
    const { data } = await timmView(file, { weights: "ema" }).readFloat32("0.weight");
    expect([...data]).toEqual([1, 1, 1, 1, 1, 1]);
    await using state = await openTensorFile(golden("state.pth"));
    expect(() => timmView(state, { weights: "ema" })).toThrow(/has no averaged weights; it holds one set/);
  });
});

describe("refused, with what helps:", () => {
  test.each([
    ["evil.pth", /refers to "(?:posix|os|nt)\.system", which .* is not run/],
    ["script.pt", /is a TorchScript model.*\nSave its weights/],
    ["legacy.pth", /pickle of PyTorch before 1\.6.*\nSave it again/],
  ])("%s", async (name, message) => {
    await expect(readAll(golden(name))).rejects.toThrow(message);
    expect(existsSync("/tmp/pickle-was-run")).toBe(false);
  });

  test("a folder, a missing file, gzip, JSON that is not an index, an archive of something else", async () => {
    await mkdir(join(root, "folder"));
    await expect(readAll(join(root, "folder"))).rejects.toThrow(/is not a file/);
    await expect(readAll(join(root, "nowhere.pth"))).rejects.toThrow(/cannot open .*ENOENT/);
    await expect(
      readAll(await write("x.gz", Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0))),
    ).rejects.toThrow(/compressed with gzip\nUnpack/);
    await expect(readAll(await write("config.json", '{"model_type": "vit"}'))).rejects.toThrow(
      /no index of tensors with a weight_map/,
    );
    const bytes = await readFile(golden("state.pth"));
    const renamed = Buffer.from(bytes.toString("latin1").replaceAll("data.pkl", "data.txt"), "latin1");
    await expect(readAll(await write("renamed.zip", renamed))).rejects.toThrow(/without data\.pkl/);
    await expect(readAll(await write("cut.pth", bytes.subarray(0, 3000)))).rejects.toThrow(
      /without its directory/,
    );
  });

  test("pickles that recall, call or nest what they should not", () => {
    const pickled = (...parts: (string | number)[]): (() => unknown) => {
      const bytes = parts.flatMap((part) =>
        typeof part === "number" ? [part] : [...Buffer.from(part, "latin1")],
      );
      return () => readPickle(Uint8Array.from(bytes), { file: "x" });
    };
    expect(pickled("cbuiltins\neval\n.")).toThrow(/refers to "builtins\.eval"/);
    // settings of other libraries are let pass, empty
    expect(pickled("comegaconf.dictconfig\nDictConfig\n)R}(X\u0001\u0000\u0000\u0000aNub.")).not.toThrow();
    expect(pickled("clightning_fabric.utilities.data\nAttributeDict\n)R(NNu.")()).toMatchObject({
      value: { name: "lightning_fabric.utilities.data.AttributeDict" },
    });
    expect(pickled("comegaconf\u0000os\nsystem\n)R.")).toThrow(/is not run/);
    expect(pickled("ctorch\nFloatStorage\n)R.")).toThrow(/calls torch\.FloatStorage, which is a type/);
    expect(pickled("h\u0005.")).toThrow(/recalls 5/);
    expect(pickled(".")).toThrow(/empty stack/);
    expect(pickled("i")).toThrow(/opcode 0x69 \(i\)/);
    expect(pickled(0x80, 9, ".")).toThrow(/protocol 9/);
    expect(pickled("T", 255, 255, 255, 127, ".")).toThrow(/ends within a value of 2147483647 bytes/);
    expect(pickled("(t(t")).toThrow(FormatError);
    // a list in itself, a hundred thousand deep nests
    expect(pickled("]q\u0000h\u0000a.")).not.toThrow();
    expect(pickled("]".repeat(100_000), "a".repeat(99_999), ".")).not.toThrow();
  });
});

describe("a sharded set", () => {
  const shard = (names: readonly string[]): Uint8Array =>
    serializeSafetensors({
      tensors: new Map(
        names.map((name, i) => [name, fromFloat32({ shape: [2], data: Float32Array.of(i, 7) })]),
      ),
      metadata: {},
    });

  test("is read from its files; what does not fit is named", async () => {
    await write("model-1.safetensors", shard(["a", "b"]));
    await write("model-2.safetensors", shard(["c"]));
    const index = (map: Record<string, string>): string => JSON.stringify({ metadata: {}, weight_map: map });
    const one = { a: "model-1.safetensors", b: "model-1.safetensors" };
    const path = await write("model.safetensors.index.json", index({ ...one, c: "model-2.safetensors" }));
    expect([...(await readAll(path)).keys()]).toEqual(["a", "b", "c"]);
    const wrong = await write("wrong.index.json", index({ ...one, c: "model-1.safetensors" }));
    await expect(readAll(wrong)).rejects.toThrow(/"c" is in model-1\.safetensors, which does not contain it/);
    const outside = await write("outside.index.json", index({ a: "../model-1.safetensors" }));
    await expect(readAll(outside)).rejects.toThrow(/which is not beside it/);
    const lost = await write("lost.index.json", index({ a: "model-9.safetensors" }));
    await expect(readAll(lost)).rejects.toThrow(/model-9\.safetensors is not there/);
    await rm(path);
  });
});

describe("thousands of damaged files end in an error or a result, never otherwise", () => {
  const random = createRandom(11, "fuzz");
  const damaged = (bytes: Uint8Array): Uint8Array => {
    const copy = Uint8Array.from(bytes);
    const kind = random.integer(5);
    if (kind === 0) return copy.subarray(0, random.integer(copy.length));
    if (kind === 1) {
      const [from, to, length] = [
        random.integer(copy.length),
        random.integer(copy.length),
        random.integer(64),
      ];
      copy.copyWithin(to, from, from + length);
      return copy;
    }
    const changes = 1 + random.integer(kind === 2 ? 1 : 8);
    for (let i = 0; i < changes; i++) {
      const at = random.integer(copy.length);
      if (kind === 3) copy.fill([0, 0xff, 0x7f][random.integer(3)] ?? 0, at, at + 1 + random.integer(8));
      else copy[at] = kind === 2 ? (copy[at] ?? 0) ^ (1 << random.integer(8)) : random.integer(256);
    }
    return copy;
  };

  test.each([
    ["state.pth", 1500],
    ["protocol4.pth", 700],
    ["checkpoint.pth", 1500],
    ["evil.pth", 300],
  ])("%s, %i times", { timeout: 120_000 }, async (name, times) => {
    const bytes = await readFile(golden(name));
    const path = join(root, `fuzz-${name}`);
    let refused = 0;
    for (let i = 0; i < times; i++) {
      await writeFile(path, damaged(bytes));
      try {
        const tensors = await readAll(path);
        const total = [...tensors.values()].reduce((sum, data) => sum + data.byteLength, 0);
        expect(total).toBeLessThanOrEqual(16 * bytes.length);
      } catch (error) {
        expect(error).toBeInstanceOf(DeitError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(times / 10);
    expect(existsSync("/tmp/pickle-was-run")).toBe(false);
  });

  test("pickles alone, 20,000 times", () => {
    const start = Buffer.from("\u0080\u0002}q\u0000(X\u0004\u0000\u0000\u0000", "latin1");
    for (let i = 0; i < 20_000; i++) {
      const bytes = Uint8Array.from({ length: 8 + random.integer(120) }, () => random.integer(256));
      if (i % 2 === 0) bytes.set(start.subarray(0, Math.min(start.length, bytes.length)));
      try {
        readPickle(bytes, { file: "noise" });
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }
  });
});
