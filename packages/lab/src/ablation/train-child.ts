/** A training as a process of its own, started by run.ts. */
import { planTraining, resolveTrainOptions, serveJob, train } from "deit-ts/internal";

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
