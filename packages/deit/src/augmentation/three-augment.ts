/**
 * 3-Augment (Touvron et al. 2022, "DeiT III"): each image is made grey, solarized or blurred, one of the three alike.
 * The colour jitter that follows is a step of its own.
 */
import type { Random } from "../random.ts";
import type { Operation } from "./operation.ts";

export function drawThreeAugment(random: Random): Operation[] {
  const choice = random.integer(3);
  if (choice === 0) return [{ op: "grayscale" }];
  if (choice === 1) return [{ op: "solarize", threshold: 128 }];
  return [{ op: "blur", radius: random.uniform(0.1, 2) }];
}
