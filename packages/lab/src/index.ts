/** `deit-ts-lab`: the analyses, studies and benchmarks of the paper as functions. `deit analyze` and `deit bench` call them. */
export { countAgreement, measureAgreement, mostDisputed } from "./agreement/agreement.ts";
export type { Agreement, AgreementOptions, Ballot, Contrast, Dispute } from "./agreement/agreement.ts";
export { writeAgreement } from "./agreement/agreement-files.ts";
export { analyzeTokens } from "./tokens/tokens.ts";
export type { HeadTokens, TokenAttention, TokensOptions, TokensResult } from "./tokens/tokens.ts";
export { writeTokens } from "./tokens/tokens-files.ts";
export { attentionMaps } from "./attention/attention.ts";
export type { AttentionOptions, AttentionSource, ImageAttention, TokenMaps } from "./attention/attention.ts";
export { attentionFiles } from "./attention/attention-files.ts";
export type { HeadNumbers, ImageNumbers } from "./attention/attention-numbers.ts";
export { attentionNumbers } from "./attention/attention-numbers.ts";
export type { AttentionFiles } from "./attention/attention-files.ts";
export { rollout } from "deit-ts/models";
export type { HeadFusion, RolloutOptions } from "deit-ts/models";
export { probe } from "./probe.ts";
export type { ProbeOptions, ProbeResult } from "./probe.ts";
export { measureThroughput } from "./throughput/measure.ts";
export type {
  ThroughputEvent,
  ThroughputHooks,
  ThroughputOptions,
  ThroughputResult,
  ThroughputTable,
} from "./throughput/measure.ts";
export { writeThroughput } from "./throughput/files.ts";
export { onnxCost } from "deit-ts/studies";
export type { OnnxCost } from "deit-ts/studies";
export { TABLE_5 } from "./throughput/paper-tables.ts";
export type { PaperModel } from "./throughput/paper-tables.ts";
export { loadTable, variedTable } from "./ablation/table.ts";
export type { AblationContrast, AblationLine, AblationRow, AblationTable } from "./ablation/table.ts";
export { planAblation } from "./ablation/plan.ts";
export type { AblationPlan, AblationPlanOptions, PlannedRun } from "./ablation/plan.ts";
export { runAblation } from "./ablation/run.ts";
export type { AblationEvent, AblationHooks } from "./ablation/run.ts";
export { recordResults, summariseResults } from "./ablation/results.ts";
export type { ResultRecord } from "./ablation/results.ts";
export { summarise } from "./ablation/statistics.ts";
export type { Comparison, Measured, Summary } from "./ablation/statistics.ts";
export { compareAnswers, summariseAnswers } from "./ablation/answers.ts";
export type { AnswerRecord, AnswerSummary } from "./ablation/answers.ts";
export { writeAblation } from "./ablation/files.ts";
export { benchInfer, benchTrain } from "./bench/throughput.ts";
export type { BenchOptions, BenchReport } from "./bench/throughput.ts";
export { profileModel } from "./bench/profile.ts";
export type { ProfileEntry, ProfileOptions, ProfileReport } from "./bench/profile.ts";
export { benchGemm } from "./bench/gemm.ts";
export type { BenchGemmReport } from "./bench/gemm.ts";
export { benchData } from "./bench/data.ts";
export type { BenchDataOptions, BenchDataReport, LoaderRate } from "./bench/data.ts";
export type { ImageAttention as PictureAttention } from "./attention/attention.ts";
export type { ImageNumbers as PictureNumbers } from "./attention/attention-numbers.ts";
