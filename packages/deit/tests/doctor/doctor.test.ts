/** The doctor on this machine: every device is tried, nothing is thrown, and the report says what auto takes. */
import { describe, expect, it } from "vitest";
import { reportText } from "../../src/cli/commands/doctor.ts";
import { coloursFor } from "../../src/cli/output.ts";
import { doctor } from "../../src/doctor/doctor.ts";
import type { DoctorReport } from "../../src/doctor/doctor.ts";
import { tryDevice } from "../../src/doctor/trial.ts";
import type { DeviceName } from "../../src/runtime/runtime.ts";

describe("doctor", () => {
  it("finds the processor working, and the rest as it is", async () => {
    const report = await doctor();
    expect(report.trials.cpu).toMatchObject({ works: true });
    expect(report.checks.filter(({ status }) => status === "fail")).toEqual([]);
    expect(report.checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["processor", "cores", "memory", "cpu", "images", "webgpu", "cuda"]),
    );
    expect(report.machine.cores.usable).toBeGreaterThan(0);
    expect(report.versions.onnxRuntime).toMatch(/^\d+\.\d+\.\d+/);
    expect(report.auto.reason).not.toBe("");
  });

  it("a device that is none is an outcome, not an error", async () => {
    expect(await tryDevice("tpu" as DeviceName)).toEqual({
      works: false,
      message: 'there is no device "tpu"',
      hint: "Devices: auto, cpu, webgpu, cuda.",
    });
  });
});

describe("the report for people", () => {
  const report: DoctorReport = {
    versions: { deit: "1.0.0", node: "24.0.0", onnxRuntime: null },
    auto: { device: "cpu", reason: "no GPU found" },
    checks: [
      { name: "cpu", status: "fail", found: "broken", fix: "npm ci" },
      { name: "webgpu", status: "warn", found: "no loader" },
      { name: "cuda", status: "info", found: "not installed" },
    ],
  } as unknown as DoctorReport;

  it("marks with words, and names remedies and what auto takes", () => {
    expect(reportText(report, coloursFor({ isTTY: false }, {})).split("\n")).toEqual([
      "deit 1.0.0, Node 24.0.0, ONNX Runtime not found",
      "",
      "  FAIL  cpu     broken",
      "                fix: npm ci",
      "  warn  webgpu  no loader",
      "  -     cuda    not installed",
      "",
      "--device auto takes cpu: no GPU found",
    ]);
  });
});
