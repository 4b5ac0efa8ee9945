/**
 * Sessions that know our own operations (native/chain.c), through an addon for Node (native/session.c) that lies in this package
 * for some platforms. Where it is missing, or does not compute what ONNX Runtime does, programs are made without them.
 */
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chainModel } from "./chain-model.ts";
import { onnxRuntimePackage } from "./onnxruntime-package.ts";
import type { NativeSessions, NativeTensor } from "./sessions.ts";
import type { TensorData } from "./runtime.ts";

/** What the addon gives; session.c describes it. */
export interface NativeAddon {
  /** SHA-256 of the files that it was compiled from, in hexadecimal. */
  readonly sources: string;
  open(library: string): void;
  create(
    model: Uint8Array,
    threads: number,
    config: readonly string[],
    profile: string,
    inputs: readonly NativeTensor[],
    outputs: readonly NativeTensor[],
  ): object;
  run(session: object, inputs: readonly TensorData[], outputs: readonly TensorData[]): void;
  endProfiling(session: object): string;
  release(session: object): void;
}

/** Where the addon for this platform lies, in sources and in the published package alike. */
export const NATIVE_ADDON = fileURLToPath(
  new URL(`../../native/${process.platform}-${process.arch}.node`, import.meta.url),
);

/** The addon; undefined where there is none for this platform, or none that loads. */
export function loadAddon(path: string = NATIVE_ADDON): NativeAddon | undefined {
  try {
    return createRequire(import.meta.url)(path) as NativeAddon;
  } catch {
    return undefined;
  }
}

/** Sessions of the addon over the ONNX Runtime that onnxruntime-node brought; undefined where they cannot be had. */
export function nativeSessions(addon: NativeAddon | undefined): NativeSessions | undefined {
  if (addon === undefined) return undefined;
  try {
    addon.open(libraryOf(onnxRuntimePackage().libraries));
    const sessions: NativeSessions = {
      create(model, { threads, config, profile, inputs, outputs }) {
        const session = addon.create(model, threads, config, profile ?? "", inputs, outputs);
        return {
          run: (given, results) => addon.run(session, given, results),
          endProfiling: () => addon.endProfiling(session),
          release: () => addon.release(session),
        };
      },
    };
    return agrees(sessions) ? sessions : undefined;
  } catch {
    return undefined;
  }
}

/** The file that onnxruntime-node's own addon is linked with. */
function libraryOf(folder: string): string {
  const name = readdirSync(folder).find((file) => /^(?:lib)?onnxruntime\.(?:so\.|dll$|.*dylib$)/.test(file));
  return join(folder, name ?? "");
}

/** Whether a chain gives what the operations that it holds give one by one, to the bit. */
function agrees(sessions: NativeSessions): boolean {
  const { bytes, length } = chainModel;
  const tensor = (name: string): NativeTensor => ({ name, type: 1, dims: [length] });
  const session = sessions.create(bytes, {
    threads: 1,
    config: [],
    profile: undefined,
    inputs: [tensor("x")],
    outputs: [tensor("y"), tensor("z")],
  });
  try {
    const x = Float32Array.from({ length }, (_, i) => ((i - length / 2) * 12) / length);
    const [y, z] = [new Float32Array(length), new Float32Array(length)];
    session.run([x], [y, z]);
    return y.every((value, i) => Number.isFinite(value) && value === z[i]) && new Set(y).size > length / 2;
  } finally {
    session.release();
  }
}
