/** Timed forward passes as a process of their own, started by measure.ts. */
import type { ForwardJob } from "../../benchmark/forward.ts";
import { timeForward } from "../../benchmark/forward.ts";
import { serveJob } from "../../runtime/job-process.ts";

serveJob(async (job, { signal }) => {
  signal.addEventListener("abort", () => process.exit()); // there is nothing to save
  return timeForward(job as ForwardJob);
});
