/** Options of the teacher and of what is learnt from it. */
import { z } from "zod";
import { option } from "./option.ts";
import { colour, count, positive, rate, text } from "./option-values.ts";

/** The reference writes '' for none. */
const textOrNone = z.string().transform((value) => (value === "" ? null : value));

export const DISTILLATION_OPTIONS = {
  distillationType: option(
    z.enum(["none", "soft", "hard", "soft-labels", "feature", "labels"]).default("none"),
    {
      group: "Distillation",
      help: "distillation loss; hard: the teacher's decision as a label; soft: KL divergence from its probabilities at temperature --distillation-tau; soft-labels: its probabilities as a label; feature: 1 − cosine between a projection of the student's token and the teacher's embedding; labels: no teacher, the distillation token learns the true labels",
    },
  ),
  distillationAlpha: option(z.number().min(0).max(1).default(0.5), {
    group: "Distillation",
    value: "ALPHA",
    help: "weight α of the distillation loss; the loss of the true labels has 1 − α",
  }),
  distillationTau: option(positive.default(1), {
    group: "Distillation",
    value: "TAU",
    help: "temperature of soft distillation (the paper: 3)",
  }),
  distillationReduction: option(z.enum(["mean", "batchmean"]).default("mean"), {
    group: "Distillation",
    help: "mean: divide the soft loss by batch × classes, as the reference does; batchmean: by the batch, as in the paper's equation",
  }),
  distillationHead: option(z.enum(["token", "class"]).default("token"), {
    group: "Distillation",
    help: "which head learns from the teacher: the distillation token's, or the class token's, of a model without the other",
  }),
  distillationLabels: option(rate.default(0), {
    group: "Distillation",
    value: "RATE",
    help: "weight of the true labels in the loss of the distillation head",
  }),
  teacherModel: option(textOrNone.nullable().default(null), {
    group: "Distillation",
    value: "NAME",
    nullMeans: "what the file says",
    help: "model name of the teacher",
  }),
  teacherPath: option(textOrNone.nullable().default(null), {
    group: "Distillation",
    value: "CKPT",
    nullMeans: "none",
    help: "teacher: a checkpoint as for --finetune, or any ONNX classifier (feature: any ONNX file with an image embedding)",
  }),
  teacherWeights: option(textOrNone.nullable().default(null), {
    group: "Distillation",
    value: "WHICH",
    nullMeans: "the trained ones",
    help: "weights to use from the teacher's checkpoint, as --weights",
  }),
  teacherInputSize: option(count.nullable().default(null), {
    group: "Distillation",
    value: "PIXELS",
    nullMeans: "the teacher's own",
    help: "size that the student's images are resized to for the teacher",
  }),
  teacherMean: option(colour.nullable().default(null), {
    group: "Distillation",
    value: "R G B",
    nullMeans: "the teacher's own, else ImageNet's",
    help: "mean of the teacher's normalisation",
  }),
  teacherStd: option(z.tuple([positive, positive, positive]).nullable().default(null), {
    group: "Distillation",
    value: "R G B",
    nullMeans: "the teacher's own, else ImageNet's",
    help: "standard deviation of the teacher's normalisation",
  }),
  teacherCache: option(text.nullable().default(null), {
    group: "Distillation",
    value: "DIR",
    nullMeans: "none",
    help: "cache the teacher's outputs in this folder, for other students that see the same images",
  }),
  teacherCacheGib: option(positive.default(2), {
    group: "Distillation",
    value: "N",
    help: "largest size of --teacher-cache, in GiB",
  }),
};
