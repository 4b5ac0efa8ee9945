/** The steps of timed forward passes as processes of their own, started by forward.ts. */
import type { ForwardJob } from "../../benchmark/forward.ts";
import { prepareForward, timeForward } from "../../benchmark/forward.ts";
import { serveJob } from "../../runtime/job-process.ts";

export type ForwardStep = ForwardJob & { readonly step: "prepare" | "time" };

serveJob(async (job, { signal }) => {
  signal.addEventListener("abort", () => process.exit()); // there is nothing to save
  const { step, ...forward } = job as ForwardStep;
  return step === "prepare" ? prepareForward(forward) : timeForward(forward);
});
