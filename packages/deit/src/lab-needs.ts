/** What deit-ts-lab needs and no entry point has yet. */
export { crop } from "./augmentation/crop.ts";
export { drawMixes, mixImages } from "./augmentation/mixup.ts";
export { IMAGENET_NORMALISATION } from "./augmentation/normalisation.ts";
export type { Draw } from "./augmentation/operation.ts";
export type { PartialPreprocessing } from "./augmentation/preprocessing.ts";
export { resize, resizeMatrix } from "./augmentation/resize.ts";
export { writePlanar } from "./augmentation/rgb-image.ts";
export type { RgbImage } from "./augmentation/rgb-image.ts";
export type { TrainingImages } from "./augmentation/training-images.ts";
export { createTransform } from "./augmentation/transform.ts";
export type { TrainTransformOptions, Transform } from "./augmentation/transform.ts";
export { didYouMean, kebabCase } from "./config/names.ts";
export { loadRecipe, loadRecipeModule } from "./config/recipe.ts";
export {
  namesImages,
  optionNamed,
  readOption,
  requireImages,
  resolveTrainOptions,
} from "./config/resolve.ts";
export type { Layer, ResolvedOptions } from "./config/resolve.ts";
export { TRAIN_OPTION_NAMES } from "./config/schema.ts";
export type { TrainInput, TrainOptionName } from "./config/schema.ts";
export type { Dataset } from "./data/dataset.ts";
export { readImageFile } from "./data/decoding/decode.ts";
export { workerPool } from "./data/loading/loader-pool.ts";
export { createLoader } from "./data/loading/loader.ts";
export { withLock } from "./data/lock.ts";
export { openDatasets, openEvaluation, splitsByChance } from "./data/open.ts";
export type { DataOptions, EvaluationDataOptions } from "./data/open.ts";
export { planBatches } from "./data/loading/epoch-plan.ts";
export type { BatchSettings } from "./data/loading/epoch-plan.ts";
export { takeSubset } from "./data/subset.ts";
export { workersFor } from "./data/loading/workers.ts";
export { needsTeacher } from "./distillation/distillation-request.ts";
export { ConfigError, DataError, DeitError, DeviceError, FormatError, firstLine } from "./errors.ts";
export { attentionReadout, mapOutputs, readMaps } from "./evaluation/attention-maps.ts";
export type { TokenAttention } from "./evaluation/attention-maps.ts";
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
export { openClassifier } from "./evaluation/classifier.ts";
export type { Classifier, Features, OpenClassifierOptions } from "./evaluation/classifier.ts";
export { askEach, openComparison } from "./evaluation/comparison.ts";
export type { AskedModel, ComparisonOptions } from "./evaluation/comparison.ts";
export { gridOf, requireTransformer, stack, tokenNames } from "./evaluation/intermediates.ts";
export type { Intermediates, Readout, TokenName } from "./evaluation/intermediates.ts";
export { locateCheckpoint } from "./evaluation/checkpoints/locate-checkpoint.ts";
export { choosePenalty, countRight, standardiser } from "./evaluation/linear-head.ts";
export { fitLogistic, logitsOf } from "./evaluation/logistic-regression.ts";
export type { Rows, Weights } from "./evaluation/logistic-regression.ts";
export type { AnswerSettings, EvaluateEvent, EvaluateHooks } from "./evaluation/logits.ts";
export { evaluateCheckpoint } from "./evaluation/measure-checkpoints.ts";
export { answerOf, mainLogits, topPredictions } from "./evaluation/metrics/metrics.ts";
export type { Prediction } from "./evaluation/metrics/metrics.ts";
export { namedCheckpoint } from "./evaluation/checkpoints/named-checkpoint.ts";
export { loadOnnxAnswers } from "./evaluation/onnx/third-party-model.ts";
export type { OnnxModel } from "./evaluation/onnx/third-party-model.ts";
export { headOutputs, tokenSimilarity } from "./evaluation/evaluation-program.ts";
export { HEAD_FUSIONS, rollout } from "./evaluation/rollout.ts";
export type { HeadFusion, RolloutOptions } from "./evaluation/rollout.ts";
export { logAxis, nameAxis, numberAxis, percentLabel, plainNumber } from "./figures/axis.ts";
export type { Axis } from "./figures/axis.ts";
export { chartFile } from "./figures/chart.ts";
export type { Chart, KeyEntry, Panel } from "./figures/chart.ts";
export { COLOUR_TABLE, cssColour } from "./figures/colour-map.ts";
export { colour, seriesColour, trueColour } from "./figures/colours.ts";
export type { Theme } from "./figures/colours.ts";
export { Html, html } from "./figures/html.ts";
export { marksLayer } from "./figures/layer.ts";
export { area, cells, dots, labels, line, segments, strokes } from "./figures/marks.ts";
export type { Mark, Point, Style } from "./figures/marks.ts";
export { aroundSections, embeddedImage, sectionText } from "./figures/page.ts";
export type { PageSection, PageTable } from "./figures/page.ts";
export { placeLabels } from "./figures/place-labels.ts";
export { shape } from "./figures/shape.ts";
export { text, textWidth } from "./figures/text.ts";
export { describeWriteFailure, makeFolder, openGrowingFile, writeFileAtomic } from "./formats/atomic-file.ts";
export type { GrowingFile } from "./formats/atomic-file.ts";
export { csv } from "./formats/csv.ts";
export { modelFolder } from "./formats/model-folder.ts";
export { ValueInfoProtoSchema } from "./graph/generated/onnx_pb.ts";
export type { NodeProto, TensorProto } from "./graph/generated/onnx_pb.ts";
export { GRADIENT_SCOPE } from "./graph/gradient.ts";
export { constant, input } from "./graph/graph.ts";
export type { Value } from "./graph/graph.ts";
export {
  add,
  concat,
  div,
  gemm,
  log,
  matmul,
  max,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  reshape,
  slice,
  sqrt,
  sub,
  sum,
} from "./graph/ops.ts";
export type { Precision } from "./graph/precision.ts";
export { compile } from "./graph/program.ts";
export type { Program, ProgramFacts } from "./graph/program.ts";
export { dimAt, sizeOf } from "./graph/shape.ts";
export { TYPE, attributeOf, closeOnnx, openOnnx } from "./interop/onnx-edit.ts";
export type { OnnxEdit } from "./interop/onnx-edit.ts";
export { deployedProgram } from "./models/deploy.ts";
export { inputSizeOf } from "./models/model.ts";
export { countParameters, createModel, listModels } from "./models/registry.ts";
export type { Model } from "./models/registry.ts";
export { numTokens } from "./models/vision-transformer.ts";
export type { VisionTransformerConfig } from "./models/vision-transformer.ts";
export { softTargetCrossEntropy } from "./nn/losses.ts";
export { initialVectors, modelLayout, unpackTensors } from "./nn/parameters.ts";
export type { Tensors } from "./nn/parameters.ts";
export { adamW } from "./optim/adamw.ts";
export { createRandom } from "./random.ts";
export { writeAnalysis } from "./report/analysis-folder.ts";
export type { AnalysisContent } from "./report/analysis-folder.ts";
export { JobError, JobKilledError, runJob, serveJob } from "./runtime/job-process.ts";
export { letGo } from "./runtime/messages.ts";
export { createRuntime } from "./runtime/node.ts";
export type { DeviceName, Executable, Runtime, TensorData } from "./runtime/runtime.ts";
export { estimate } from "./training/estimate.ts";
export type { TrainEvent } from "./training/loop/events.ts";
export { hyperFeeds, smoothTargets } from "./training/loop/step-feeds.ts";
export { planImages, planTraining } from "./training/plan.ts";
export type { ImagePlan, TrainingPlan } from "./training/plan.ts";
export { choosePrecision, optimizerIn } from "./training/choose-precision.ts";
export { stepProgram } from "./training/loop/training-programs.ts";
export { restoreProgress } from "./training/loop/run-progress.ts";
export { describeEnvironment } from "./training/run/run-environment.ts";
export { RUN_FILES, isRunFolder, readRun } from "./training/run/run-folder.ts";
export type { EpochRecord } from "./training/run/run-log.ts";
export {
  SAME_TRAINING,
  asJson,
  differingOptions,
  flagsOf,
  otherOptions,
} from "./training/run/same-options.ts";
export type { OptionDifference } from "./training/run/same-options.ts";
export { groupSize, largestGroup, loadStepGroup, runSteps } from "./training/loop/step-groups.ts";
export type { StepGroup } from "./training/loop/step-groups.ts";
export type { Task } from "./training/task.ts";
export { train } from "./training/train.ts";
export { VERSION } from "./version.ts";
export { shortName } from "./class-names.ts";
