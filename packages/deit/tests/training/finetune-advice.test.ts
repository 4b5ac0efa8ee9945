/** Which released weights a fine-tuning would take for its time. */
import { describe, expect, test } from "vitest";
import type { AdviceFacts } from "../../src/training/finetune-advice.ts";
import { adviseFinetune, describeAdvice } from "../../src/training/finetune-advice.ts";

const FLOWERS: AdviceFacts = { images: 800, medianSize: 500, cores: 2, minutes: 10 };
const advised = (changes: Partial<AdviceFacts> = {}): string =>
  adviseFinetune({ ...FLOWERS, ...changes }).weights.name;

describe("adviseFinetune", () => {
  test("takes the highest published accuracy that the time is enough for", () => {
    expect(advised()).toBe("vit_small_patch32_224.augreg_in21k_ft_in1k");
    expect(advised({ minutes: 20 })).toBe("deit3_small_patch16_224.fb_in22k_ft_in1k");
    expect(advised({ minutes: 100_000 })).toBe("deit3_base_patch16_384.fb_in22k_ft_in1k");
  });

  test("never takes L or H, which are to predict and to teach", () => {
    expect(advised({ images: 1, minutes: 1e9 })).not.toMatch(/large|huge/);
  });

  test("takes the cheapest where none can see all images five times", () => {
    const { weights, epochs } = adviseFinetune({ ...FLOWERS, images: 10_000_000 });
    expect([weights.name, epochs]).toEqual(["vit_small_patch32_224.augreg_in21k_ft_in1k", 0]);
  });

  test("small images cost less, more cores do more", () => {
    const { inputSize, weights } = adviseFinetune({ ...FLOWERS, medianSize: 60 });
    expect(inputSize).toEqual([weights.inputSize / 2, weights.inputSize / 2]);
    expect(advised({ cores: 8 })).toBe(advised({ minutes: 40 }));
  });
});

test("the line says the time, the published figure and its source, and how to take it", () => {
  const advice = adviseFinetune({ ...FLOWERS, minutes: 20 });
  const line = describeAdvice(advice, { minutes: 20, cores: 2, isTaken: false });
  expect(line).toBe(
    `of the released weights deit3_small_patch16_224.fb_in22k_ft_in1k fits 20 minutes on 2 cores best: top-1 83.1 % on ImageNet at 224 pixels (facebookresearch/deit README_revenge.md); about ${advice.epochs} epochs at 224 × 224 pixels. --finetune deit3_small_patch16_224.fb_in22k_ft_in1k takes it`,
  );
  expect(describeAdvice(advice, { minutes: 1, cores: 1, isTaken: true })).toMatch(
    /fits 1 minute on 1 core best.* pixels$/,
  );
});
