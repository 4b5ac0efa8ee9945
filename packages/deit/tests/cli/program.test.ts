import { expect, it } from "vitest";
import { coloursFor } from "../../src/cli/output.ts";
import { normaliseFlags } from "../../src/cli/command-tree.ts";

it("flags may be spelt in three ways, values are left alone", () => {
  const words = [
    "train",
    "--data_path",
    "my_photos",
    "--outputDir=runs/my_Run",
    "--no-unscale_lr",
    "-V",
    "--",
    "--a_b",
  ];
  const expected = [
    "train",
    "--data-path",
    "my_photos",
    "--output-dir=runs/my_Run",
    "--no-unscale-lr",
    "-V",
    "--",
    "--a_b",
  ];
  expect(normaliseFlags(words)).toEqual(expected);
  expect(normaliseFlags(["--x=a=b"])).toEqual(["--x=a=b"]);
});

it("colours follow the terminal, NO_COLOR and FORCE_COLOR", () => {
  const terminal = { isTTY: true };
  expect(coloursFor(terminal, {}).isColorSupported).toBe(true);
  expect(coloursFor({}, {}).isColorSupported).toBe(false);
  expect(coloursFor({}, { CI: "1" }).isColorSupported).toBe(false);
  expect(coloursFor({}, { FORCE_COLOR: "1" }).isColorSupported).toBe(true);
  expect(coloursFor(terminal, { NO_COLOR: "1" }).isColorSupported).toBe(false);
  expect(coloursFor(terminal, { NO_COLOR: "" }).isColorSupported).toBe(true);
  expect(coloursFor(terminal, { TERM: "dumb" }).isColorSupported).toBe(false);
});
