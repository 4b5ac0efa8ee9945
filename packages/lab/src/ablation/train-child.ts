/** A training as a process of its own, started by run.ts. */
import { train } from "deit-ts";
import type { TrainInput } from "deit-ts";
import { serveJob } from "deit-ts/studies";

serveJob(async (job, { tell, signal }) =>
  train(job as TrainInput, {
    signal,
    onEvent(event) {
      if (event.type !== "step" || event.step % 10 === 0) tell(event);
    },
  }),
);
