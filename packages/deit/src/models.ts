/**
 * `deit-ts/models`: models and their training as programs, for loops of your own: layers, parameters, models, losses,
 * optimizers, schedules, step programs, metrics, weights in memory. Runs in browsers as well as in Node.
 */

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
  modelLayout,
  packTensors,
  unpackTensors,
  zeroVectors,
} from "./nn/parameters.ts";
export { DROP_PATH_INPUT, dropPathMask, evaluationContext, trainingContext } from "./nn/context.ts";
export type { ForwardContext } from "./nn/context.ts";

// Layers.
export { attention } from "./nn/attention.ts";
export type { AttentionOptions } from "./nn/attention.ts";
export { batchNorm } from "./nn/batch-norm.ts";
export type { BatchNormOptions } from "./nn/batch-norm.ts";
export { convNorm, convolution } from "./nn/convolution.ts";
export type { ConvolutionOptions } from "./nn/convolution.ts";
export { layerNorm, linear, ONES, TRUNC_NORMAL, ZEROS } from "./nn/linear.ts";
export { mlp } from "./nn/mlp.ts";
export type { MlpOptions } from "./nn/mlp.ts";
export { block } from "./models/block.ts";
export type { BlockOptions } from "./models/block.ts";
export { patchEmbed } from "./models/patch-embed.ts";
export type { PatchEmbedOptions } from "./models/patch-embed.ts";

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
export { applyProgram, gradProgram, stepProgram, trainingState } from "./training/loop/training-programs.ts";
export { initialState } from "./training/loop/run-progress.ts";
export type { TrainingOptions } from "./training/loop/training-programs.ts";
export { classification } from "./training/task.ts";
export { hyperFeeds, smoothTargets } from "./training/loop/step-feeds.ts";
export { binaryCrossEntropy, softTargetCrossEntropy } from "./nn/losses.ts";
export type { Losses } from "./nn/losses.ts";
export { distillation } from "./distillation/losses.ts";
export type { DistillationOptions, DistillationType } from "./distillation/losses.ts";
export type { Task } from "./training/task.ts";
export { evaluationProgram } from "./evaluation/evaluation-program.ts";
export type { ProgramOptions } from "./evaluation/evaluation-program.ts";
export type { EvaluationReport } from "./evaluation/checkpoint-report.ts";
export { EvaluationMeter, jointLogits, softmax, topPredictions } from "./evaluation/metrics/metrics.ts";
export type {
  EvaluationMetrics,
  HeadLogits,
  HeadMetrics,
  HeadResults,
  JointRule,
  Prediction,
} from "./evaluation/metrics/metrics.ts";

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

export { CheckpointError, ConfigError, FormatError } from "./errors.ts";

// Parts that analyses and benchmarks use.
export { attentionReadout, readMaps } from "./evaluation/attention-maps.ts";
export type { TokenAttention } from "./evaluation/attention-maps.ts";
export { gridOf, requireTransformer, stack, tokenNames } from "./evaluation/intermediates.ts";
export type { Intermediates, Readout, TokenName } from "./evaluation/intermediates.ts";
export { choosePenalty, countRight, standardiser } from "./evaluation/linear-head.ts";
export { nearestNeighbours } from "./evaluation/nearest-neighbours.ts";
export { fitLogistic } from "./evaluation/logistic-regression.ts";
export { answerOf, mainLogits } from "./evaluation/metrics/metrics.ts";
export { tokenSimilarity } from "./evaluation/evaluation-program.ts";
export { HEAD_FUSIONS, rollout } from "./evaluation/rollout.ts";
export type { HeadFusion, RolloutOptions } from "./evaluation/rollout.ts";
export { inputSizeOf } from "./models/model.ts";
export { numTokens } from "./models/vision-transformer.ts";
export { restoreProgress } from "./training/loop/run-progress.ts";
export { groupSize, largestGroup, loadStepGroup, runSteps } from "./training/loop/step-groups.ts";
export type { StepGroup } from "./training/loop/step-groups.ts";
