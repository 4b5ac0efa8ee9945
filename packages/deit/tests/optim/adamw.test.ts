/** AdamW against ten steps of torch.optim.AdamW, recorded by tests/golden/adamw/record.py. */
import { describe, expect, test } from "vitest";
import { adamW } from "../../src/optim/adamw.ts";
import { devices, sharedRuntime } from "../helpers/devices.ts";
import { unpack } from "../helpers/seeded.ts";
import { expectParameters } from "./expect-parameters.ts";
import { layout, recorded, runSteps } from "./steps.ts";

const decaying = { name: "decay", decay: true, lrScale: 1 };

describe.each(devices)("on %s", (device) => {
  test("parameters after 1, 2 and 10 steps, and the moments, equal PyTorch's", async () => {
    const optimizer = adamW({ weightDecay: recorded.weightDecay });
    const states = await runSteps(await sharedRuntime(device), optimizer);
    expectParameters(states, recorded.adamw);
    // Ours are divided by 1 − β.
    for (const [slot, moment, factor] of [
      ["m", "exp_avg", 0.1],
      ["v", "exp_avg_sq", 0.001],
    ] as const) {
      for (const [name, packed] of Object.entries(recorded.adamw.moments[moment] ?? {})) {
        const expected = unpack(packed);
        const largest = Math.max(...expected.map(Math.abs));
        const actual =
          states
            .at(-1)
            ?.[slot]?.get(name)
            ?.data.map((x) => x * factor) ?? new Float32Array();
        expect(actual.length).toBe(expected.length);
        for (const [i, x] of expected.entries()) {
          expect(Math.abs((actual[i] ?? Number.NaN) - x), `${moment} of ${name}[${i}]`).toBeLessThanOrEqual(
            1e-6 * largest,
          );
        }
      }
    }
  });
});

describe("hyper", () => {
  const { hyper } = adamW({ weightDecay: 0.05, betas: [0.9, 0.999], epsilon: 1e-8 });

  test("decays by lr · wd, and only where decay applies", () => {
    expect(hyper(1, 0.01, decaying)[0]).toBeCloseTo(1 - 0.01 * 0.05, 15);
    expect(hyper(1, 0.01, { ...decaying, decay: false })[0]).toBe(1);
  });

  test("scales rate and decay by the group's learning-rate factor", () => {
    const [half, whole] = [hyper(3, 0.01, { ...decaying, lrScale: 0.5 }), hyper(3, 0.005, decaying)];
    expect(half).toEqual(whole);
  });

  test("the first step moves by the rate, whatever the gradient's size", () => {
    // M = g and √V = |g|: rate · g / (|g| + ε) for each.
    for (const g of [1e3, 1, 1e-3]) {
      const [, rate = 0, epsilon = 0] = hyper(1, 0.01, decaying);
      expect((rate * g) / (g + epsilon)).toBeCloseTo((0.01 * g) / (g + 1e-8), 12);
    }
  });
});

test("the recorded tensors are in the groups of the reference", () => {
  for (const { group, segments } of layout.vectors) {
    for (const { name } of segments) expect(recorded.tensors[name]?.decay, name).toBe(group.decay);
  }
});
