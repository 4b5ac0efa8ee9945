/**
 * `deit-ts/web`: training in a browser, with what `deit-ts/graph` and `deit-ts/models` have. It opens no file and no device: a page gives images
 * (`imagesInMemory`), a worker that runs a session host over onnxruntime-web (`connect`), and a place for the run
 * (`runInMemory`, or a RunStore of its own); `fit` trains. The same code trains in Node.
 */
export * from "./graph.ts";
export * from "./models.ts";

// Images in memory.
export type { RawImage, RgbImage } from "./augmentation/rgb-image.ts";
export { readPlanar, rgbImage, writePlanar } from "./augmentation/rgb-image.ts";
export { applyOperation, describeOperation } from "./augmentation/operation.ts";
export type { Draw, Operation } from "./augmentation/operation.ts";
export { drawMixes, mixFeed, mixImages, mixTargets } from "./augmentation/mixup.ts";
export type { Mix, MixupOptions } from "./augmentation/mixup.ts";
export { createTransform } from "./augmentation/transform.ts";
export type {
  EvaluationTransformOptions,
  TrainCrop,
  TrainTransformOptions,
  Transform,
  TransformOptions,
} from "./augmentation/transform.ts";
export { IMAGENET_NORMALISATION } from "./augmentation/normalisation.ts";
export type { Normalisation } from "./augmentation/normalisation.ts";

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

// A plan of a run from its options.
export { finetuneDefaults } from "./config/finetune-defaults.ts";
export type { FinetuneFacts } from "./config/finetune-defaults.ts";
export { buildModel } from "./models/model-request.ts";

// Where images come from.
export type { Dataset, DatasetSource } from "./data/dataset.ts";
export { imagesInMemory } from "./data/memory-images.ts";
export type { MemoryImage, MemoryImages } from "./data/memory-images.ts";
export { takeSubset } from "./data/subset.ts";
export type { Selection } from "./data/subset.ts";
export { createPlan } from "./data/loading/epoch-plan.ts";
export type { Plan, PlanOptions } from "./data/loading/epoch-plan.ts";
export { createLoader } from "./data/loading/loader.ts";
export type { Batch, BatchMaker, BatchPool, Loader, LoaderOptions } from "./data/loading/loader.ts";
export { makeBatch } from "./data/loading/batch.ts";
export type { BatchJob, MadeBatch } from "./data/loading/batch.ts";

// What executes: a client in the page, a host in a worker.
export { connect } from "./runtime/client.ts";
export type { RuntimeFacts, SessionPort } from "./runtime/client.ts";
export { createSessionHost } from "./runtime/session-host.ts";
export type { Reply } from "./runtime/session-host.ts";
export type { Surroundings } from "./runtime/sessions.ts";
export type { Answer, Envelope } from "./runtime/messages.ts";

// Where a run is kept.
export { STORE_FILES } from "./training/run/run-store.ts";
export type { ModelKind, RunStore } from "./training/run/run-store.ts";
export { runInMemory } from "./training/run/run-memory.ts";
export type { MemoryRun, MemoryRunOptions } from "./training/run/run-memory.ts";
export { decodeState, encodeState } from "./training/run/run-state.ts";
export type { Counters, RunState } from "./training/run/run-state.ts";
export { formatLog, formatSummary, parseLog } from "./training/run/run-log.ts";
export type { EpochRecord, Json } from "./training/run/run-log.ts";

// Training: all of it, and its loop alone.
export { fit } from "./training/fit.ts";
export type { FitParts, TrainHooks, TrainResult } from "./training/fit.ts";
export { createLoaders } from "./training/loop/loaders.ts";
export type { RunLoaders } from "./training/loop/loaders.ts";
export { initialWeights } from "./training/initial-weights.ts";
export type { InitialWeightsOptions, WeightSource } from "./training/initial-weights.ts";
export { weightsInMemory } from "./training/memory-weights.ts";
export { loadPrograms } from "./training/loop/load-programs.ts";
export type { Executables } from "./training/loop/load-programs.ts";
export { runEpochs } from "./training/loop/loop.ts";
export type { LoopParts } from "./training/loop/loop.ts";
export type { LoopSettings } from "./training/loop/cadence.ts";
export { InterruptedError, NonFiniteError } from "./training/loop/events.ts";
export type { TrainEvent } from "./training/loop/events.ts";

// Evaluation.
export { evaluate } from "./evaluation/evaluate.ts";
export { streamAnswers, streamOutputs } from "./evaluation/logits.ts";
export type { AnsweredBatch, EvaluateEvent, EvaluateHooks, Evaluator } from "./evaluation/logits.ts";
export { FEATURES, readoutProgram } from "./evaluation/intermediates.ts";
export type { Intermediates, Readout } from "./evaluation/intermediates.ts";

// Models to ask: weights in memory, programs with the weights inside, what they are asked for.
export { modelInMemory } from "./training/memory-weights.ts";
export type { LoadedModel } from "./evaluation/checkpoints/load-model.ts";
export { evaluationTransform } from "./augmentation/preprocessing.ts";
export type { Preprocessing } from "./augmentation/preprocessing.ts";
export { frozenProgram } from "./evaluation/frozen-program.ts";
export { gridOf, requireTransformer, tokenNames, unboundProgram } from "./evaluation/intermediates.ts";
export type { TokenName } from "./evaluation/intermediates.ts";
export { attentionReadout, readMaps } from "./evaluation/attention-maps.ts";
export type { TokenAttention } from "./evaluation/attention-maps.ts";
export { wilsonInterval } from "./evaluation/metrics/share.ts";
export { imageNetClasses } from "./data/imagenet-classes.ts";

// A head for features, in a second.
export { choosePenalty, fitLinearHead } from "./evaluation/linear-head.ts";
export type { LabelledFeatures, LinearHead } from "./evaluation/linear-head.ts";

// Models to take away.
export {
  checkpointBytes,
  huggingFaceContents,
  ownContent,
  settingsText,
  WEIGHTS,
} from "./export/contents.ts";
export { deployedModel } from "./export/onnx.ts";
export { toFloat16 } from "./interop/to-float16.ts";
