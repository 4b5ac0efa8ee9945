/** Which parameters weight decay leaves alone. (Counts for whole models: tests/models/registry.test.ts.) */
import { expect, test } from "vitest";
import { decayGroups } from "../../src/nn/parameters.ts";

const groupOf = decayGroups(["pos_embed", "cls_token"]);

test.each<[string, readonly number[], boolean]>([
  ["blocks.0.attn.qkv.weight", [6, 2], true],
  ["patch_embed.proj.weight", [2, 3, 4, 4], true],
  ["head_dist.weight", [10, 2], true],
  ["dist_token", [1, 1, 2], true],
  ["cls_token", [1, 1, 2], false],
  ["pos_embed", [1, 5, 2], false],
  ["blocks.0.attn.qkv.bias", [6], false],
  ["blocks.0.norm1.weight", [2], false],
  ["scale", [], false],
  ["odd.bias", [2, 2], false],
])("%s %j", (name, shape, decay) => {
  const group = groupOf({ name, shape, initializer: { kind: "zeros" } });
  expect([group.decay, group.lrScale]).toEqual([decay, 1]);
  expect(group.name).toBe(decay ? "decay" : "noDecay");
});

test("without exemptions, tokens and positions are decayed too", () => {
  const spec = { name: "pos_embed", shape: [1, 5, 2], initializer: { kind: "zeros" } } as const;
  expect(decayGroups([])(spec).decay).toBe(true);
});
