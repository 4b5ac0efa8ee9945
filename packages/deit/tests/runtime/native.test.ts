import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { input } from "../../src/graph/graph.ts";
import { exp, neg } from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import { createHostEngine } from "../../src/runtime/host-engine.ts";
import { NATIVE_ADDON, loadAddon, nativeSessions } from "../../src/runtime/native.ts";
import type { NativeAddon } from "../../src/runtime/native.ts";

const FOLDER = fileURLToPath(new URL("../../native/", import.meta.url));
const SOURCES = [
  "attention.c",
  "chain.c",
  "functions.h",
  "head.h",
  "operations.h",
  "ort.h",
  "product.h",
  "session.c",
];
const settings = { device: "cpu", threads: 1, profile: undefined } as const;

function chained() {
  const x = input("x", "float32", [10_000]);
  return compile({ name: "chained", target: "cpu16-chains", outputs: { y: neg(exp(x)) } });
}

describe.skipIf(!existsSync(NATIVE_ADDON))("the addon of this platform", () => {
  const addon = loadAddon() as NativeAddon;

  test("was compiled from the sources beside it: npm run native", () => {
    const hash = createHash("sha256");
    for (const file of SOURCES) hash.update(readFileSync(join(FOLDER, file)));
    expect(addon.sources).toBe(hash.digest("hex"));
  });

  test.skipIf(process.platform !== "linux")("needs nothing that Node's own systems lack", () => {
    let symbols: string;
    try {
      symbols = execFileSync("objdump", ["-T", NATIVE_ADDON], { encoding: "utf8" });
    } catch {
      return; // no binutils
    }
    const versions = [...symbols.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
    expect(Math.max(...versions)).toBeLessThanOrEqual(28);
  });

  test("says what is wrong, and runs nothing after its session was released", () => {
    const sessions = nativeSessions(addon);
    const [x, y] = [new Float32Array(10_000), new Float32Array(10_000)];
    const tensors = (name: string) => [{ name, type: 1, dims: [10_000] }];
    const options = {
      threads: 1,
      config: [],
      profile: undefined,
      inputs: tensors("x"),
      outputs: tensors("y"),
    };
    expect(() => sessions?.create(Uint8Array.of(1, 2, 3), options)).toThrow(/protobuf/i);
    const session = sessions?.create(chained().model, options);
    session?.run([x], [y]);
    expect(y.every((value) => value === -1)).toBe(true);
    expect(() => session?.run([x.subarray(1)], [y])).toThrow("x: expected a typed array of 40000 bytes");
    expect(() => session?.run([], [y])).toThrow("x: expected a typed array of 40000 bytes");
    session?.release();
    expect(() => session?.run([x], [y])).toThrow("released");
  });
});

test("without it, or where it computes something else, programs have no chains", async () => {
  expect(nativeSessions(undefined)).toBeUndefined();
  const wrong: NativeAddon = {
    sources: "",
    open: () => {},
    create: () => ({}),
    run: (_, [x], [y, z]) => {
      if (x instanceof Float32Array) (y as Float32Array).set(x);
      (z as Float32Array).fill(1);
    },
    endProfiling: () => "",
    release: () => {},
  };
  expect(nativeSessions(wrong)).toBeUndefined();
  const engine = await createHostEngine({ ort, blocks: process.arch === "x64" }, settings);
  expect(engine.target ?? "cpu").not.toMatch(/chains/);
  await expect(engine.load(chained())).rejects.toMatchObject({ code: "program/target" });
});
