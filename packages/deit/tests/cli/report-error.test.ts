import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CommanderError } from "commander";
import { reportError } from "../../src/cli/report-error.ts";
import { ConfigError, DataError } from "../../src/errors.ts";

let printed = "";
beforeEach(() => {
  printed = "";
  vi.stubEnv("FORCE_COLOR", "0");
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const report = (error: unknown): number => reportError(error, { version: "1.2.3" });

describe("exit code and words", () => {
  it("of a user's mistake: 2, the message, no stack", () => {
    expect(
      report(new ConfigError("lr", "--lr: got x", { code: "options/value", hint: "Write a number." })),
    ).toBe(2);
    expect(printed).toBe("error: --lr: got x\n  Write a number.\n  code: options/value\n");
  });

  it("of bad input: 1, the message, no stack", () => {
    expect(report(new DataError("photos", "photos: no such folder", { code: "data/no-images" }))).toBe(1);
    expect(printed).toBe("error: photos: no such folder\n  code: data/no-images\n");
  });

  it("of a full disk: 1, with advice", () => {
    expect(
      report(Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" })),
    ).toBe(1);
    expect(printed).toContain("make room");
    expect(printed).not.toContain("bug");
  });

  it("of an interrupted run: 130", () => {
    const error = Object.assign(new Error("stopped after epoch 3, saved in runs/a"), {
      name: "InterruptedError",
    });
    expect(report(error)).toBe(130);
    expect(printed).toBe("stopped after epoch 3, saved in runs/a\n");
    expect(report(AbortSignal.abort().reason)).toBe(130);
  });

  it("of a bug: 1, the stack, and what to report", () => {
    expect(report(new TypeError("x is undefined"))).toBe(1);
    expect(printed).toMatch(/this is a bug in deit: TypeError: x is undefined\n +at .*/);
    expect(printed).toContain("deit-ts 1.2.3, Node v");
    expect(report("just text")).toBe(1);
  });

  it("of commander: it has printed its own, but for the code", () => {
    expect(report(new CommanderError(0, "commander.helpDisplayed", ""))).toBe(0);
    expect(report(new CommanderError(1, "commander.unknownOption", ""))).toBe(2);
    expect(printed).toBe("  code: options/unknown\n");
  });
});
