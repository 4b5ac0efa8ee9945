/** How many channels make a block: asked of ONNX Runtime, never guessed. */

import * as ort from "onnxruntime-node";
import { expect, test } from "vitest";
import { channelBlock } from "../../src/runtime/blocks.ts";
import type { OnnxRuntime } from "../../src/runtime/sessions.ts";

const { create } = ort.InferenceSession;

/** ONNX Runtime whose sessions change what the blocked model returns. */
function tampered(change: (outputs: Record<string, ort.Tensor>) => void): OnnxRuntime {
  const fake = {
    async create(model: Uint8Array, options: ort.InferenceSession.SessionOptions) {
      const session = await create(model, options);
      return {
        async run(feeds: Record<string, ort.Tensor>) {
          const outputs = { ...(await session.run(feeds)) } as Record<string, ort.Tensor>;
          change(outputs);
          return outputs;
        },
        release: () => session.release(),
      };
    },
  };
  return { ...ort, InferenceSession: fake } as unknown as OnnxRuntime;
}

test.runIf(process.arch === "x64")("an x64 processor has blocks of 8 or 16", async () => {
  expect([8, 16]).toContain(await channelBlock(ort));
});

test.runIf(process.arch === "x64")("wrong numbers are not blocks", async () => {
  const zeros = new ort.Tensor("float32", new Float32Array(32), [1, 16, 1, 2]);
  expect(await channelBlock(tampered((outputs) => void (outputs["y"] = zeros)))).toBe(undefined);
  expect(await channelBlock(tampered((outputs) => void (outputs["blocks"] = zeros)))).toBe(undefined);
});

test("an ONNX Runtime without these operations has no blocks", async () => {
  const InferenceSession = { create: () => Promise.reject(new Error("not a registered function/op")) };
  expect(await channelBlock({ ...ort, InferenceSession })).toBe(undefined);
});
