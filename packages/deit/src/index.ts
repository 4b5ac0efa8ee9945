/**
 * `deit-ts`: the part that runs in browsers as well as in Node. Describe a model and its training step over symbolic
 * values, compile it to an ONNX program, read and write weights, prepare pictures. It reads no files and opens no
 * device: `deit-ts/node` does.
 */

// The graph: values and operations, gradients, programs, and the slow exact evaluator that they are tested with.
export * as ops from "./graph/ops.ts";
export { constant, input, scalar } from "./graph/graph.ts";
export type { ConstantData, DType, Operand, Target, TensorType, Value } from "./graph/graph.ts";
export type { Shape } from "./graph/shape.ts";
export { gradient } from "./graph/gradient.ts";
export { optimizeOutputs } from "./graph/passes/forward.ts";
export { compile } from "./graph/program.ts";
export type { Precision } from "./graph/precision.ts";
export type { GradientOptions } from "./graph/gradient.ts";
export type { CompileOptions, Program, ProgramFacts } from "./graph/program.ts";
export { evaluate as interpret } from "./graph/interpreter.ts";

// Parameters by timm's names, in flat vectors.
export { checkTensors } from "./nn/check-tensors.ts";
export type {
  Initializer,
  Layout,
  ParameterGroup,
  ParameterSpec,
  ParameterVector,
  Scope,
  Segment,
  Tensors,
  Vectors,
} from "./nn/parameters.ts";
export {
  bindParameters,
  createLayout,
  createScope,
  decayGroups,
  initialVectors,
  packTensors,
  unpackTensors,
  zeroVectors,
} from "./nn/parameters.ts";
export { DROP_PATH_INPUT, dropPathMask, evaluationContext, trainingContext } from "./nn/context.ts";
export type { ForwardContext } from "./nn/context.ts";

// Models.
export { countParameters, createDeit, createModel, listModels, modelOf } from "./models/registry.ts";
export type { Model, ModelConfig, ModelOptions, ModelSummary, VisionTransformer } from "./models/registry.ts";
export { findPretrained, PRETRAINED } from "./models/pretrained.ts";
export type { PretrainedWeights } from "./models/pretrained.ts";
export type { VisionTransformerConfig } from "./models/vision-transformer.ts";
export type { Heads } from "./models/heads.ts";
export { deployedProgram } from "./models/deploy.ts";

// Optimizers, parameter groups, learning rates.
export { adamW } from "./optim/adamw.ts";
export type { AdamWOptions } from "./optim/adamw.ts";
export { sgd } from "./optim/sgd.ts";
export type { SgdOptions } from "./optim/sgd.ts";
export type { Optimizer } from "./optim/optimizer.ts";
export { withLossScale } from "./optim/loss-scale.ts";
export type { LossScaleOptions } from "./optim/loss-scale.ts";
export {
  constantSchedule,
  cosineByEpoch,
  cosineByStep,
  scaleLearningRate,
  stepDecayByEpoch,
} from "./optim/schedule.ts";
export type {
  CosineByStepOptions,
  CosineOptions,
  Schedule,
  StepDecayOptions,
  WarmupOptions,
} from "./optim/schedule.ts";

// Training and evaluation as programs.
export { applyProgram, gradProgram, stepProgram, trainingState } from "./training/program.ts";
export type { TrainingOptions } from "./training/program.ts";
export { classification } from "./training/task.ts";
export { smoothTargets } from "./training/feeds.ts";
export { binaryCrossEntropy, softTargetCrossEntropy } from "./nn/losses.ts";
export type { Losses } from "./nn/losses.ts";
export { distillation } from "./distillation/losses.ts";
export type { DistillationOptions, DistillationType } from "./distillation/losses.ts";
export type { Task } from "./training/task.ts";
export { evaluationProgram } from "./evaluation/program.ts";
export type { ProgramOptions } from "./evaluation/program.ts";
export { EvaluationMeter, jointLogits, softmax, topPredictions } from "./evaluation/metrics.ts";
export type {
  EvaluationMetrics,
  EvaluationReport,
  HeadLogits,
  HeadMetrics,
  HeadResults,
  JointRule,
  Prediction,
} from "./evaluation/metrics.ts";

// What runs a program: `createRuntime` of deit-ts/node makes one.
export type { DeviceName, Executable, Runtime, RuntimeOptions, TensorData } from "./runtime/runtime.ts";

// Weights in memory.
export { parseCheckpoint, parseSafetensors, serializeSafetensors } from "./formats/safetensors.ts";
export type {
  CheckpointContent,
  FloatTensor,
  Safetensors,
  Tensor,
  TensorDType,
} from "./formats/safetensors.ts";
export { decodeModelMetadata, encodeModelMetadata } from "./formats/model-metadata.ts";
export type { ModelMetadata } from "./formats/model-metadata.ts";

// Pictures in memory.
export type { Picture } from "./augmentation/picture.ts";
export { readPlanar, writePlanar } from "./augmentation/picture.ts";
export { applyOperation, describeOperation } from "./augmentation/operation.ts";
export type { Draw, Operation } from "./augmentation/operation.ts";
export { drawMixes, mixFeed, mixPictures, mixTargets } from "./augmentation/mixup.ts";
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
export { createRandom } from "./random.ts";
export type { Random } from "./random.ts";
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
