/** Which precision a run computes in: the one asked for, or the best of the device. */
import { DeviceError } from "../errors.ts";
import type { Precision } from "../graph/precision.ts";
import { withLossScale } from "../optim/loss-scale.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Float16Support } from "../runtime/float16.ts";
import { float16Support } from "../runtime/float16.ts";
import type { DeviceName } from "../runtime/runtime.ts";

export interface PrecisionChoice {
  readonly precision: Precision;
  /** What to say of a choice that was left to us. */
  readonly note?: string;
}

/** @throws DeviceError when the device cannot do what is asked */
export async function choosePrecision(
  asked: Precision | "auto",
  device: DeviceName,
): Promise<PrecisionChoice> {
  return asked === "float32"
    ? { precision: asked }
    : resolvePrecision(asked, device, await float16Support(device));
}

/** The choice, given what the device can do. */
export function resolvePrecision(
  asked: "float16" | "auto",
  device: DeviceName,
  { usable, fast, reason }: Float16Support,
): PrecisionChoice {
  if (asked === "auto") {
    const precision = usable && fast ? "float16" : "float32";
    return { precision, note: `precision: ${precision} (auto: ${reason})` };
  }
  if (!usable) {
    throw new DeviceError(device, `--precision float16 cannot be used on ${device}: ${reason}`, {
      code: "device/no-float16",
      hint: "Take --precision float32; auto takes float16 where it is known to be faster.",
    });
  }
  return { precision: asked, ...(!fast && { note: `precision: float16, as requested; ${reason}` }) };
}

/** The optimizer for a precision: float16 wants the loss scaled. */
export function optimizerIn(optimizer: Optimizer, precision: Precision): Optimizer {
  return precision === "float16" ? withLossScale(optimizer) : optimizer;
}
