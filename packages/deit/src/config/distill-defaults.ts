/** What a student does that has a teacher and no true labels: the teacher's decisions take their place. Pure. */
import type { TrainInput } from "./schema.ts";

/** What takes the place of true labels: a teacher's decisions, or nothing: its embeddings are all that is learnt. */
export type TaughtBy = "labels" | "embeddings";

export function distillDefaults({
  distilled,
  by,
}: {
  readonly distilled: boolean;
  readonly by: TaughtBy;
}): TrainInput {
  const isLabelled = by === "labels";
  return {
    distillationType: isLabelled ? "soft" : "feature",
    distillationHead: distilled ? "token" : "class",
    distillationAlpha: isLabelled ? 0.5 : 1,
    distillationTau: 1,
    ...(!isLabelled && { selectEpoch: "last" }), // no accuracy chooses one
    // Eq. 2 as the paper has it: with many classes the reference's mean over them leaves nothing of the loss
    distillationReduction: "batchmean",
    // how often a teacher answers with a class says nothing of how much that class matters
    classWeights: "none",
  };
}
