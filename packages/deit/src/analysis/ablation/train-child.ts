/** A training as a process of its own, started by run.ts. */
import { resolveTrainOptions } from "../../config/resolve.ts";
import { serveJob } from "../../runtime/job-process.ts";
import { planTraining } from "../../training/plan.ts";
import { train } from "../../training/train.ts";

serveJob(async (job, { tell, signal }) => {
  const values = job as Readonly<Record<string, unknown>>; // run.ts sends the options
  const { options } = resolveTrainOptions([{ source: "the study", spelling: "key", values }]);
  return train(planTraining(options), {
    signal,
    onEvent(event) {
      if (event.type !== "step" || event.step % 10 === 0) tell(event);
    },
  });
});
