/** An onnxruntime that remembers, for every run, where the fed and returned tensors were, and what crossed the bus. */

import * as onnxruntime from "onnxruntime-node";
import type { OnnxRuntime } from "../../src/runtime/sessions.ts";

export interface RecordedRun {
  readonly fed: Readonly<Record<string, string>>;
  readonly returned: Readonly<Record<string, string>>;
  /** Bytes of each fed tensor that lay in host memory. */
  readonly bytes: Readonly<Record<string, number>>;
}

/** Wraps onnxruntime-node; `runs` grows as sessions run. */
export function recordingRuntime(runs: RecordedRun[]): OnnxRuntime {
  const locations = (tensors: Readonly<Record<string, unknown>>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(tensors).map(([name, tensor]) => [
        name,
        tensor instanceof onnxruntime.Tensor ? tensor.location : "none",
      ]),
    );
  const hostBytes = (tensors: Readonly<Record<string, unknown>>): Record<string, number> =>
    Object.fromEntries(
      Object.entries(tensors).flatMap(([name, tensor]) =>
        tensor instanceof onnxruntime.Tensor && tensor.location === "cpu" && ArrayBuffer.isView(tensor.data)
          ? [[name, tensor.data.byteLength]]
          : [],
      ),
    );
  const create: typeof onnxruntime.InferenceSession.create = async (model: unknown, options?: unknown) => {
    const session = await onnxruntime.InferenceSession.create(
      model as Uint8Array,
      options as onnxruntime.InferenceSession.SessionOptions,
    );
    const run = session.run.bind(session);
    session.run = async (feeds: onnxruntime.InferenceSession.FeedsType, ...rest: unknown[]) => {
      const fed = locations(feeds);
      const returned = await (run as (...args: unknown[]) => ReturnType<typeof run>)(feeds, ...rest);
      runs.push({ fed, returned: locations(returned), bytes: hostBytes(feeds) });
      return returned;
    };
    return session;
  };
  return { ...onnxruntime, InferenceSession: { create } };
}
