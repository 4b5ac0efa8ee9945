/**
 * `deit-ts/node`: deprecated. The names of 0.1 in one entry; use `deit-ts`, `deit-ts/graph`, `deit-ts/models` and
 * `deit-ts/data`. docs/api.md says where each name went.
 */
export * from "./graph.ts";
export * from "./models.ts";
export * from "./data.ts";
export { estimate, finetune, resume, train } from "./api/train.ts";

// Options, randomness, errors.
export { TRAIN_OPTION_NAMES, trainJsonSchema, trainSchema } from "./config/schema.ts";
export type { TrainInput, TrainOptionName, TrainOptions } from "./config/schema.ts";
export { parseTrainOptions } from "./config/resolve.ts";
export { planImages, planTraining } from "./training/plan.ts";
export type { ImagePlan, TrainingPlan } from "./training/plan.ts";
export {
  CheckpointError,
  ConfigError,
  DataError,
  DeitError,
  DeviceError,
  FormatError,
  ShapeError,
} from "./errors.ts";
export { VERSION } from "./version.ts";

// Training.
export { InterruptedError, NonFiniteError } from "./training/train.ts";
export type { Estimate, TrainEvent, TrainHooks, TrainResult } from "./training/train.ts";
export { listRecipes, loadRecipe } from "./config/recipe.ts";
export { isRunFolder, readRun, RUN_FILES } from "./training/run/run-folder.ts";
export type { RunArgs, RunRecord, RunSession } from "./training/run/run-folder.ts";
export type { EpochRecord } from "./training/run/run-log.ts";

// Evaluation and prediction.
export { evaluate } from "./evaluation/evaluate.ts";
export { streamAnswers } from "./evaluation/logits.ts";
export type {
  AnsweredBatch,
  AnswerSettings,
  EvaluateEvent,
  EvaluateHooks,
  OutputBatch,
} from "./evaluation/logits.ts";
export { differenceInterval, intervalOf, resampleShares } from "./evaluation/metrics/bootstrap.ts";
export type { BootstrapOptions, Interval } from "./evaluation/metrics/bootstrap.ts";
export {
  comparisonReport,
  evaluateCheckpoint,
  measureCheckpoints,
} from "./evaluation/measure-checkpoints.ts";
export type {
  EvaluateCheckpointOptions,
  MeasureCheckpointsOptions,
  MeasuredCheckpoint,
  MeasuredCheckpoints,
} from "./evaluation/measure-checkpoints.ts";
export type {
  CalibrationReport,
  CheckpointReport,
  ClassReport,
  ComparisonReport,
  Difference,
  RealReport,
} from "./evaluation/checkpoint-report.ts";
export { evaluationDocument } from "./evaluation/evaluation-document.ts";
export type { EvaluationDocument, ReportDocument } from "./evaluation/evaluation-document.ts";
export { writeEvaluation } from "./report/evaluation-files.ts";
export { AnswerSheet, mainAnswers } from "./evaluation/metrics/answer-sheet.ts";
export type { HeadAnswers, HeadName, ImageAnswers } from "./evaluation/metrics/answer-sheet.ts";
export { headLogits } from "./evaluation/evaluation-program.ts";
export { predict, predictEach } from "./evaluation/predict.ts";
export type { ImagePredictions, PredictEvent, PredictHooks, PredictOptions } from "./evaluation/predict.ts";
export { writePredictionSheet } from "./preview/prediction-sheet.ts";
export type { PredictedImage } from "./preview/prediction-sheet.ts";
export { classifierOf, openClassifier } from "./evaluation/classifier.ts";
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
export { FEATURES } from "./evaluation/intermediates.ts";
export type { Intermediates, Readout, TokenName } from "./evaluation/intermediates.ts";
export { exportModel } from "./export/export.ts";
export type { ExportEvent, ExportFormat, ExportOptions, ExportResult } from "./export/export.ts";
export { locateCheckpoint } from "./evaluation/checkpoints/locate-checkpoint.ts";
export type { LocateOptions } from "./evaluation/checkpoints/locate-checkpoint.ts";
export { openCheckpoint } from "./evaluation/checkpoints/checkpoint.ts";
export type { Checkpoint, OpenCheckpointOptions } from "./evaluation/checkpoints/checkpoint.ts";
export { loadModel } from "./evaluation/checkpoints/load-model.ts";
export type { LoadedModel, LoadModelOptions } from "./evaluation/checkpoints/load-model.ts";

// Images on disk.
export { openDatasets, openEvaluation } from "./data/open.ts";
export type { DataOptions, EvaluationDataOptions, OpenedDatasets } from "./data/open.ts";
export { openDataset } from "./data/dataset.ts";
export { takeSubset } from "./data/subset.ts";
export type { Dataset, DatasetSource } from "./data/dataset.ts";
export { pullWeights } from "./data/download/download-weights.ts";
export type { PullWeightsOptions } from "./data/download/download-weights.ts";
export { pullDataset } from "./data/download/download-dataset.ts";
export type { Pulled, PullOptions } from "./data/download/download-dataset.ts";
export { packDataset } from "./data/pack.ts";
export type { Packed, PackOptions } from "./data/pack.ts";
export { readImageFile } from "./data/decoding/decode.ts";
export { workerPool } from "./data/loading/loader-pool.ts";
export { createLoader } from "./data/loading/loader.ts";
export type { Batch, BatchMaker, BatchPool, Loader, LoaderOptions } from "./data/loading/loader.ts";
export { reportRun } from "./report/report.ts";
export type { ReportResult } from "./report/report.ts";
export { createPlan } from "./data/loading/epoch-plan.ts";
export type { Plan, PlannedSample, PlanOptions } from "./data/loading/epoch-plan.ts";

// Devices.
export { createRuntime } from "./runtime/node.ts";
export { doctor } from "./doctor/doctor.ts";
export type { Check, DoctorReport } from "./doctor/doctor.ts";
export { installCuda } from "./runtime/install-cuda.ts";
export type { InstallCudaOptions } from "./runtime/install-cuda.ts";

// Weights on disk.
export {
  openSafetensors,
  readCheckpoint,
  writeCheckpoint,
  writeSafetensors,
} from "./formats/safetensors-file.ts";
export type { SafetensorsFile } from "./formats/safetensors-file.ts";

// Names of 0.1 that have changed since.
export type { RgbImage as Picture } from "./augmentation/rgb-image.ts";
export { mixImages as mixPictures } from "./augmentation/mixup.ts";
export { readImageFile as readPicture } from "./data/decoding/decode.ts";
export type { ImageAnswers as PictureAnswers } from "./evaluation/metrics/answer-sheet.ts";
export type { ImagePredictions as PicturePredictions } from "./evaluation/predict.ts";
export type { PredictedImage as PredictedPicture } from "./preview/prediction-sheet.ts";
