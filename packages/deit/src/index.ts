/**
 * `deit-ts`: train, measure, use and export image classifiers, in Node. What the command line does, these functions do; they
 * print nothing, and throw a DeitError with a stable `code` for what a user can fix.
 *
 * Beside it: `deit-ts/graph` (tensors, gradients, programs), `deit-ts/models` (layers, models, optimizers, step programs),
 * `deit-ts/data` (datasets, transforms, loaders) and `deit-ts/web` (training in a browser).
 */

// Training.
export { estimate, finetune, resume, train } from "./api/train.ts";
export type { TrainRequest } from "./api/train.ts";
export type { Estimate, TrainEvent, TrainHooks, TrainResult } from "./training/train.ts";
export type { TrainInput, TrainOptionName, TrainOptions } from "./config/schema.ts";
export { trainJsonSchema } from "./config/schema.ts";
export { listRecipes, loadRecipe } from "./config/recipe.ts";
export { readRun } from "./training/run/run-folder.ts";
export type { RunArgs, RunRecord, RunSession } from "./training/run/run-folder.ts";
export type { EpochRecord } from "./training/run/run-log.ts";

// What code can give a run.
export type { ImageContext, ImageTransform } from "./data/loading/batch.ts";
export type { TeacherFunction, TeacherImages } from "./distillation/teacher-function.ts";
export type { Answers, Metric, Metrics } from "./evaluation/own-metrics.ts";

// A trained model: open it once, ask it many times.
export { openClassifier } from "./evaluation/classifier.ts";
export type {
  AnswersOptions,
  Classifier,
  ClassifierOptions,
  ClassifyOptions,
  DatasetAnswers,
  Features,
  Images,
  OpenClassifierOptions,
  PassOptions,
  ReadoutBatch,
} from "./evaluation/classifier.ts";
export type { ImageInput, RawImage } from "./evaluation/image-input.ts";
export type { HeadMetrics, Prediction } from "./evaluation/metrics/metrics.ts";

// Measuring checkpoints: accuracy with intervals, calibration, paired differences.
export {
  evaluateCheckpoint as evaluate,
  measureCheckpoints as compare,
} from "./evaluation/measure-checkpoints.ts";
export type {
  EvaluateCheckpointOptions as EvaluateOptions,
  MeasureCheckpointsOptions as CompareOptions,
  MeasuredCheckpoint,
  MeasuredCheckpoints,
} from "./evaluation/measure-checkpoints.ts";
export type {
  CheckpointReport,
  ClassReport,
  Difference,
  EvaluationReport,
} from "./evaluation/checkpoint-report.ts";

// Models by name, and files of them.
export { createModel, saveModel } from "./api/create-model.ts";
export type { CreateModelOptions } from "./api/create-model.ts";
export type { LoadedModel } from "./evaluation/checkpoints/load-model.ts";
export { listModels } from "./models/registry.ts";
export type { Model, ModelConfig, ModelOptions, ModelSummary } from "./models/registry.ts";
export { exportModel } from "./export/export.ts";
export type { ExportEvent, ExportFormat, ExportOptions, ExportResult } from "./export/export.ts";
export { reportRun } from "./report/report.ts";
export type { ReportResult } from "./report/report.ts";

// Images.
export { createDataset } from "./api/create-dataset.ts";
export type { CreateDatasetOptions, LabelledImage, LabelledImages } from "./api/create-dataset.ts";
export { readImage } from "./evaluation/image-input.ts";
export type { Dataset } from "./data/dataset.ts";
export { pullDataset as downloadDataset } from "./data/download/download-dataset.ts";
export type {
  Pulled as DownloadedDataset,
  PullOptions as DownloadDatasetOptions,
} from "./data/download/download-dataset.ts";
export { pullWeights as downloadWeights } from "./data/download/download-weights.ts";
export type { PullWeightsOptions as DownloadWeightsOptions } from "./data/download/download-weights.ts";

export { checkData } from "./data-check/check.ts";
export type { CheckDataOptions } from "./data-check/check.ts";
export { writeCheck } from "./data-check/files.ts";
export type { CheckedImage, DataCheck, ImageProblem, ProblemKind } from "./data-check/problems.ts";

// Devices.
export { createRuntime } from "./runtime/node.ts";
export type { DeviceName, Runtime, RuntimeOptions } from "./runtime/runtime.ts";
export { doctor } from "./doctor/doctor.ts";
export type { Check, DoctorReport } from "./doctor/doctor.ts";

// Errors.
export {
  CheckpointError,
  ConfigError,
  DataError,
  DeitError,
  DeviceError,
  FormatError,
  ShapeError,
} from "./errors.ts";
export { InterruptedError, NonFiniteError } from "./training/loop/events.ts";
export type { ErrorCode } from "./error-codes.ts";
export { VERSION } from "./version.ts";
