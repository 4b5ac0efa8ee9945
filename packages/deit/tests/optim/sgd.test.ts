/** SGD with momentum, with and without Nesterov, against torch.optim.SGD: tests/golden/adamw/record.py. */
import { describe, expect, test } from "vitest";
import { sgd } from "../../src/optim/sgd.ts";
import { devices, sharedRuntime } from "../helpers/devices.ts";
import { unpack } from "../helpers/seeded.ts";
import { expectParameters } from "./expect-parameters.ts";
import { recorded, runSteps } from "./steps.ts";

describe.each(devices)("on %s", (device) => {
  test.each([
    ["sgd", false],
    ["sgdNesterov", true],
  ] as const)("%s equals PyTorch's", async (key, nesterov) => {
    const optimizer = sgd({ weightDecay: recorded.weightDecay, nesterov });
    const states = await runSteps(await sharedRuntime(device), optimizer);
    expectParameters(states, recorded[key]);
    for (const [name, packed] of Object.entries(recorded[key].moments["momentum_buffer"] ?? {})) {
      const expected = unpack(packed);
      const largest = Math.max(1e-3, ...expected.map(Math.abs));
      const actual = states.at(-1)?.["momentum"]?.get(name)?.data ?? new Float32Array();
      for (const [i, x] of expected.entries()) {
        expect(Math.abs((actual[i] ?? Number.NaN) - x), `buffer of ${name}[${i}]`).toBeLessThanOrEqual(
          1e-6 * largest,
        );
      }
    }
  });
});

test("weight decay is coupled, and applies where it should", () => {
  const { hyper } = sgd({ weightDecay: 0.05 });
  expect(hyper(1, 0.1, { name: "decay", decay: true, lrScale: 0.5 })).toEqual([0.05, 0.05]);
  expect(hyper(9, 0.1, { name: "noDecay", decay: false, lrScale: 1 })).toEqual([0.1, 0]);
});
