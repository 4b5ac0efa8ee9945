/** Before and after every test file: the next one in this process finds nothing changed, and processor time is measured. */
import { readFileSync } from "node:fs";
import { afterAll, type RunnerTestSuite, vi } from "vitest";
import { cleanUp } from "./after-file.ts";

declare module "vitest" {
  interface TaskMeta {
    /** Of a file: user and system time of its process, and of processes that have ended. */
    processorSeconds?: number;
  }
}

/** Seconds of this process; on Linux also of its children that have ended. */
function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  const own = (user + system) / 1e6;
  if (process.platform !== "linux") return own;
  // proc(5): cutime and cstime are fields 16 and 17, in hundredths of a second; the name in brackets may hold blanks
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return own + (Number(fields[13]) + Number(fields[14])) / 100;
}

const before = processorSeconds();

// oxlint-disable-next-line no-empty-pattern -- the form that vitest asks for
afterAll(async ({}, file: Readonly<RunnerTestSuite>) => {
  await cleanUp();
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
  file.meta.processorSeconds = processorSeconds() - before;
});
