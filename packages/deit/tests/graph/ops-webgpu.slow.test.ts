/** Every operation of cases.ts on WebGPU: values and gradients are the interpreter's. */
import { describe, test } from "vitest";
import { devices, sharedRuntime } from "../helpers/devices.ts";
import { casesOn, expectSameOnDevice } from "./trace-case.ts";

describe.runIf(devices.includes("webgpu"))("WebGPU equals the interpreter", () => {
  test.each(casesOn("webgpu"))("%s", async (op, group) =>
    expectSameOnDevice(await sharedRuntime("webgpu"), op, group),
  );
});
