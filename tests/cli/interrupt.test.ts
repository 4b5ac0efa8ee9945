import { afterEach, expect, it, vi } from "vitest";
import { withInterrupt } from "../../src/cli/interrupt.ts";

afterEach(() => vi.restoreAllMocks());

it("the first Ctrl-C aborts, the second ends the process, and afterwards nothing listens", async () => {
  const before = process.listenerCount("SIGINT");
  const exit = vi.spyOn(process, "exit").mockImplementation((() => {}) as never);
  const onFirst = vi.fn<() => void>();
  const result = await withInterrupt(async (signal) => {
    process.emit("SIGINT");
    expect(signal.aborted).toBe(true);
    expect(exit).not.toHaveBeenCalled();
    process.emit("SIGTERM");
    expect(exit).toHaveBeenCalledWith(130);
    return "saved";
  }, onFirst);
  expect(result).toBe("saved");
  expect(onFirst).toHaveBeenCalledTimes(1);
  expect(process.listenerCount("SIGINT")).toBe(before);
});

it("listens no longer when the work fails", async () => {
  const before = process.listenerCount("SIGINT");
  await expect(withInterrupt(() => Promise.reject(new Error("no")), vi.fn())).rejects.toThrow("no");
  expect(process.listenerCount("SIGINT")).toBe(before);
});
