/** Jobs that end in every way, for job-process.test.ts. */
import { ConfigError, DeviceError } from "../../src/errors.ts";
import { serveJob } from "../../src/runtime/job-process.ts";

export type Ending = "result" | "full" | "absent" | "mistaken" | "stopped" | "bug" | "killed";

serveJob(async (job, { tell, signal }) => {
  const ending = job as Ending;
  tell({ doing: ending });
  switch (ending) {
    case "result":
      return { answer: 42 };
    case "full":
      throw new DeviceError("webgpu", "there is no room", {
        code: "device/out-of-memory",
        hint: "Take less.",
        outOfMemory: true,
      });
    case "absent":
      throw new DeviceError("cuda", "there is no such card", { code: "device/unusable" });
    case "mistaken":
      throw new ConfigError("lr", "lr is not a number", { code: "options/value", hint: "Give one." });
    case "stopped":
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return signal.throwIfAborted();
    case "bug":
      throw new TypeError("x is not a function");
    case "killed":
      process.kill(process.pid, "SIGKILL");
      return new Promise(() => {});
  }
});
