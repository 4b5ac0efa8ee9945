/** A training as a process of its own, started by run.ts. */
import type { TrainOptions } from "../../config/schema.ts";
import { serveJob } from "../../runtime/job-process.ts";
import { train } from "../../training/train.ts";

serveJob(async (job, { tell, signal }) =>
  train(job as TrainOptions, {
    signal,
    onEvent(event) {
      if (event.type !== "step" || event.step % 10 === 0) tell(event);
    },
  }),
);
