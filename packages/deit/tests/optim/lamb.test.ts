/** LAMB against ten steps of timm's, recorded by tests/golden/lamb/record.py. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { input } from "../../src/graph/graph.ts";
import { evaluate } from "../../src/graph/interpreter.ts";
import { createLayout, decayGroups } from "../../src/nn/parameters.ts";
import { withEma } from "../../src/optim/ema.ts";
import { lamb } from "../../src/optim/lamb.ts";
import { expectClose } from "../graph/compare.ts";
import { devices, sharedRuntime } from "../helpers/devices.ts";
import { unpack } from "../helpers/seeded.ts";
import { expectParameters } from "./expect-parameters.ts";
import type { RecordedRun } from "./steps.ts";
import { recorded, runSteps } from "./steps.ts";

const file = new URL("../golden/lamb/lamb.json", import.meta.url);
const { lamb: golden }: { lamb: RecordedRun } = JSON.parse(readFileSync(file, "utf8"));

describe.each(devices)("on %s", (device) => {
  test("parameters after 1, 2 and 10 steps, and the moments, equal timm's", async () => {
    const states = await runSteps(await sharedRuntime(device), lamb({ weightDecay: recorded.weightDecay }));
    expectParameters(states, golden);
    for (const [slot, moment] of [
      ["m", "exp_avg"],
      ["v", "exp_avg_sq"],
    ] as const) {
      for (const [name, packed] of Object.entries(golden.moments[moment] ?? {}))
        expectClose(states.at(-1)?.[slot]?.get(name)?.data, unpack(packed), {
          tolerance: 1e-6,
          name: `${moment} of ${name}`,
        });
    }
  });
});

describe("parameters without a length", () => {
  const layout = createLayout(
    ["zero", "other"].map((name) => ({ name, shape: [2, 1], initializer: { kind: "zeros" as const } })),
    { groupOf: decayGroups([]) },
  );
  const [vector] = layout.vectors;
  if (vector === undefined) throw new Error("no vector");
  const vectorInput = (name: string): ReturnType<typeof input> => input(name, "float32", [4]);
  const step = (feeds: Record<string, readonly number[]>): readonly number[] => {
    const optimizer = lamb({ weightDecay: 0.1, epsilon: 0 });
    const hyper = optimizer.hyper(1, 0.5, vector.group);
    const { weight } = optimizer.update({
      weight: vectorInput("weight"),
      grad: vectorInput("grad"),
      slots: [vectorInput("m"), vectorInput("v")],
      hyper: hyper.map((_, i) => input(`hyper${i}`, "float32", [])),
      vector,
    });
    const numbers = Object.fromEntries(hyper.map((value, i) => [`hyper${i}`, [value]]));
    return Array.from(
      evaluate([weight], { m: [0, 0, 0, 0], v: [0, 0, 0, 0], ...numbers, ...feeds })[0] ?? [],
    );
  };

  test("move as AdamW's, and others by a part of theirs", () => {
    // directions are signs at the first step; 3-4-5: |p| = 5, u = (1.3, 1.4)
    const [a, b, c, d] = step({ weight: [0, 0, 3, 4], grad: [2, -2, 1, 1] });
    expectClose([a, b].map(Number), [-0.5, 0.5], { tolerance: 1e-12 });
    const length = 5 / Math.hypot(1.3, 1.4);
    expectClose([c, d].map(Number), [3 - 0.5 * length * 1.3, 4 - 0.5 * length * 1.4], { tolerance: 1e-12 });
  });
});

test("an average of the weights changes nothing of it", () => {
  const optimizer = withEma(lamb(), { decay: 0.9 });
  expect([optimizer.name, optimizer.maxNorm, optimizer.slots]).toEqual(["lamb", 1, ["m", "v", "E"]]);
});
