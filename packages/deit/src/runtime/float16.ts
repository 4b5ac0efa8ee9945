/** Whether a device computes in float16, and what to say of it. */
import { probeDevice } from "./probe.ts";
import type { DeviceName } from "./runtime.ts";

export interface Float16Support {
  readonly usable: boolean;
  /** Whether float16 is known to be faster there: else it is taken when asked for by name alone. */
  readonly fast: boolean;
  /** Why, or why not; the end of a sentence. */
  readonly reason: string;
}

export async function float16Support(device: DeviceName): Promise<Float16Support> {
  switch (device) {
    case "cpu":
      return {
        usable: true,
        fast: false,
        reason: "the CPU computes float16 in float32, with casts before and after, which is slower",
      };
    case "cuda":
      return { usable: true, fast: true, reason: "CUDA computes in float16" };
    case "webgpu": {
      const { float16 } = await probeDevice("webgpu");
      return float16
        ? {
            usable: true,
            fast: false,
            reason: "the adapter computes in float16; whether that is faster there was not measured yet",
          }
        : {
            usable: false,
            fast: false,
            reason: "the WebGPU adapter or its driver has no float16 (feature shader-f16)",
          };
    }
  }
}
