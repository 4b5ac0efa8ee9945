/**
 * How many channels ONNX Runtime's convolutions take as one block on this CPU (graph/ops/blocked.ts). It depends on the
 * width of the processor's vectors and is told nowhere: a small convolution is tried, and its numbers tell.
 */

import { blockedModel } from "./identity-model.ts";
import type { OnnxRuntime } from "./sessions.ts";

const [CHANNELS, PIXELS] = [16, 2];

/** 8 or 16; undefined where the convolution cannot be loaded or does not give what it should. */
export async function channelBlock(ort: OnnxRuntime): Promise<8 | 16 | undefined> {
  const x = Float32Array.from({ length: CHANNELS * PIXELS }, (_, i) => i);
  const filter = Float32Array.from({ length: CHANNELS ** 2 }, (_, i) => ((i * 7) % 11) - 5);
  try {
    const session = await ort.InferenceSession.create(blockedModel, {
      executionProviders: ["cpu"],
      intraOpNumThreads: 1,
      logSeverityLevel: 4,
    });
    const { blocks, y } = await session
      .run({
        x: new ort.Tensor("float32", x, [1, CHANNELS, 1, PIXELS]),
        filter: new ort.Tensor("float32", filter, [CHANNELS, CHANNELS, 1, 1]),
      })
      .finally(async () => session.release());
    return ([16, 8] as const).find(
      (block) => equals(blocks?.data, blocked(x, block)) && equals(y?.data, convolved(x, filter, block)),
    );
  } catch {
    return undefined;
  }
}

/** [C, P] as [C/block, P, block]. */
function blocked(x: Float32Array, block: number): Float32Array {
  return x.map((_, i) => {
    const [channel, pixel] = [i % block, Math.floor(i / block) % PIXELS];
    return x[(Math.floor(i / (block * PIXELS)) * block + channel) * PIXELS + pixel] ?? Number.NaN;
  });
}

/** x [C, P] times a filter [O/block, C/block, block of C, block of O], as blocks. All numbers are whole: sums are exact. */
function convolved(x: Float32Array, filter: Float32Array, block: number): Float32Array {
  const y = x.map((_, i) => {
    const [out, pixel] = [Math.floor(i / PIXELS), i % PIXELS];
    let total = 0;
    for (let channel = 0; channel < CHANNELS; channel++) {
      const tile = Math.floor(out / block) * (CHANNELS / block) + Math.floor(channel / block);
      const weight = filter[(tile * block + (channel % block)) * block + (out % block)] ?? Number.NaN;
      total += weight * (x[channel * PIXELS + pixel] ?? Number.NaN);
    }
    return total;
  });
  return blocked(y, block);
}

function equals(actual: unknown, expected: Float32Array): boolean {
  return actual instanceof Float32Array && expected.every((value, i) => actual[i] === value);
}
