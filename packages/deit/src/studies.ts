/**
 * `deit-ts/studies`: what programs that train and compare many models are made of: options and plans of runs, run folders, a process
 * for each run, comparisons of checkpoints image by image with intervals. deit-ts-lab is written on it. Node only.
 */
export { didYouMean, kebabCase } from "./config/names.ts";
export { loadRecipeModule } from "./config/recipe.ts";
export { optionNamed, readOption, requireImages, resolveTrainOptions } from "./config/resolve.ts";
export type { Layer, ResolvedOptions } from "./config/resolve.ts";
export { readImageFile } from "./data/decoding/decode.ts";
export { withLock } from "./data/lock.ts";
export { needsTeacher } from "./distillation/distillation-request.ts";
export { firstLine } from "./errors.ts";
export { AnswerSheet, HEADS } from "./evaluation/metrics/answer-sheet.ts";
export type { HeadName } from "./evaluation/metrics/answer-sheet.ts";
export {
  LEVEL,
  RESAMPLES,
  differenceInterval,
  intervalOf,
  resampleShares,
} from "./evaluation/metrics/bootstrap.ts";
export type { BootstrapOptions, Interval } from "./evaluation/metrics/bootstrap.ts";
export { floats } from "./evaluation/classifier-device.ts";
export { askEach, openComparison } from "./evaluation/comparison.ts";
export type { AskedModel, ComparisonOptions } from "./evaluation/comparison.ts";
export { locateCheckpoint } from "./evaluation/checkpoints/locate-checkpoint.ts";
export type { AnswerSettings, EvaluateEvent, EvaluateHooks } from "./evaluation/logits.ts";
export { namedCheckpoint } from "./evaluation/checkpoints/named-checkpoint.ts";
export { onnxCost } from "./evaluation/onnx/onnx-cost.ts";
export type { OnnxCost } from "./evaluation/onnx/onnx-cost.ts";
export { loadOnnxAnswers } from "./evaluation/onnx/third-party-model.ts";
export type { OnnxModel } from "./evaluation/onnx/third-party-model.ts";
export { describeWriteFailure, makeFolder, openGrowingFile, writeFileAtomic } from "./formats/atomic-file.ts";
export type { GrowingFile } from "./formats/atomic-file.ts";
export { csv } from "./formats/csv.ts";
export { modelFolder } from "./formats/model-folder.ts";
export { JobError, JobKilledError, runJob, serveJob } from "./runtime/job-process.ts";
export { letGo } from "./runtime/messages.ts";
export { planImages, planTraining } from "./training/plan.ts";
export type { ImagePlan, TrainingPlan } from "./training/plan.ts";
export { describeEnvironment } from "./training/run/run-environment.ts";
export { RUN_FILES, isRunFolder } from "./training/run/run-folder.ts";
export {
  SAME_TRAINING,
  asJson,
  differingOptions,
  flagsOf,
  otherOptions,
} from "./training/run/same-options.ts";
export type { OptionDifference } from "./training/run/same-options.ts";
export { choosePrecision, optimizerIn } from "./training/choose-precision.ts";
