/** The steps of timed forward passes as processes of their own, started by forward.ts. */
import type { ForwardJob } from "../bench/forward.ts";
import { prepareForward, timeForward } from "../bench/forward.ts";
import { serveJob } from "deit-ts/studies";

export type ForwardStep = ForwardJob & { readonly step: "prepare" | "time" };

serveJob(async (job, { signal }) => {
  signal.addEventListener("abort", () => process.exit()); // there is nothing to save
  const { step, ...forward } = job as ForwardStep;
  return step === "prepare" ? prepareForward(forward) : timeForward(forward);
});
