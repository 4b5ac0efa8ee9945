/** What a student does that has a teacher and no true labels: the teacher's decisions take their place. Pure. */
import type { TrainInput } from "./schema.ts";

export function distillDefaults({ distilled }: { readonly distilled: boolean }): TrainInput {
  return {
    distillationType: "soft",
    distillationHead: distilled ? "token" : "class",
    distillationAlpha: 0.5,
    distillationTau: 1,
    // Eq. 2 as the paper has it: with many classes the reference's mean over them leaves nothing of the loss
    distillationReduction: "batchmean",
    // how often a teacher answers with a class says nothing of how much that class matters
    classWeights: "none",
  };
}
