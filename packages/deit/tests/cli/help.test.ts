import { expect, it } from "vitest";
import { helpWidth, reflow } from "../../src/cli/help.ts";
import { resolveTrainOptions } from "../../src/config/resolve.ts";
import type { Layer } from "../../src/config/resolve.ts";

it("text is broken at the terminal's width, examples stay as they are", () => {
  const text =
    "\nOne two three\nfour five six seven.\n\nExamples:\n  deit train ./photos          a first try\n";
  expect(reflow(text, 20)).toBe(
    "\nOne two three four\nfive six seven.\n\nExamples:\n  deit train ./photos          a first try\n",
  );
  expect(reflow(text, 100)).toBe(
    "\nOne two three four five six seven.\n\nExamples:\n  deit train ./photos          a first try\n",
  );
  expect(reflow("", 80)).toBe("");
});

it("the width is the terminal's, within what can be read", () => {
  expect([{}, { columns: 60 }, { columns: 10 }, { columns: 300 }].map(helpWidth)).toEqual([80, 60, 40, 100]);
});

const layer = (values: Layer["values"]): Layer => ({ source: "code", spelling: "key", values });

it("--three-augment with a policy that was asked for is an error; an earlier layer's gives way", () => {
  const both = { threeAugment: true, aa: "original" };
  for (const layers of [
    [layer(both)],
    [layer({ threeAugment: true }), layer({ aa: "v0" })],
    [layer({ aa: "v0" }), layer(both)],
  ])
    expect(() => resolveTrainOptions(layers)).toThrow(expect.objectContaining({ code: "options/conflict" }));
  for (const layers of [
    [layer({ aa: "original" }), layer({ threeAugment: true })],
    [layer({ threeAugment: true, aa: null })],
    [layer({ threeAugment: true, aa: "rand-m9-mstd0.5-inc1" })], // as a run records it
    [layer({ threeAugment: false, aa: "original" })],
  ])
    expect(resolveTrainOptions(layers).options).toBeDefined();
});

it("--amp and --use_volta32 say what there is instead", () => {
  const { notes } = resolveTrainOptions([
    { source: "command line", spelling: "flag", values: { amp: true, useVolta32: true } },
  ]);
  expect(notes).toEqual([
    expect.stringContaining("--amp changes nothing: mixed precision is --precision float16"),
    expect.stringContaining("--use-volta32 changes nothing"),
  ]);
});
