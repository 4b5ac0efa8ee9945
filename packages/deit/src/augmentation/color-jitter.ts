/** torchvision's ColorJitter of brightness, contrast and saturation, without hue: in random order, by random factors. */
import type { Random } from "../random.ts";
import type { Operation } from "./operation.ts";

const KINDS = ["brightness", "contrast", "color"] as const;

/** Factors are even in max(0, 1 − strength)…1 + strength. */
export function drawColorJitter(random: Random, strength: number): Operation[] {
  const order = random.permutation(KINDS.length);
  return Array.from(order, (index) => ({
    op: KINDS[index] ?? "color",
    factor: random.uniform(Math.max(0, 1 - strength), 1 + strength),
  }));
}
