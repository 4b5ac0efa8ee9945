/** What a run learns from whom, from the options of the group "Distillation": the losses, the teacher, and the rules between them. */
import { ConfigError } from "../errors.ts";
import type { Model } from "../models/registry.ts";
import type { DistillationOptions, DistillationType } from "./losses.ts";

/** The options that this part is made from. */
export interface DistillationFlags {
  readonly distillationType: DistillationType | "none";
  readonly distillationAlpha: number;
  readonly distillationTau: number;
  readonly distillationReduction: DistillationOptions["reduction"];
  readonly distillationHead: DistillationOptions["head"];
  readonly distillationLabels: number;
  readonly teacherPath: string | null;
  readonly teacherModel: string | null;
  readonly teacherWeights: string | null;
  readonly teacherInputSize: number | null;
  readonly teacherMean: readonly [number, number, number] | null;
  readonly teacherStd: readonly [number, number, number] | null;
  readonly teacherCache: string | null;
  readonly teacherCacheGib: number;
  /** Whether dropout and stochastic depth are on; without, a distilled model trains by the mean of its heads. */
  readonly trainMode: boolean;
}

/** Which teacher answers, and how it sees the student's images. Undefined: what its file says. */
export interface TeacherRequest {
  readonly path: string;
  readonly model?: string | undefined;
  /** Which weights of a file that holds several. */
  readonly weights?: string | undefined;
  /** Height and width, in pixels. */
  readonly inputSize?: number | undefined;
  readonly mean?: readonly [number, number, number] | undefined;
  readonly std?: readonly [number, number, number] | undefined;
  /** The student's token that learns its embedding; undefined: its logits teach. */
  readonly embedding?: DistillationOptions["head"] | undefined;
  /** Where its answers are kept, up to so many bytes; undefined: nowhere. */
  readonly cache?: { readonly folder: string; readonly maxBytes: number } | undefined;
}

export interface DistillationRequest {
  readonly losses: DistillationOptions;
  /** Undefined for `labels`, which has no teacher. */
  readonly teacher: TeacherRequest | undefined;
}

/** Whether options ask for a teacher: one kind of distillation has none. */
export function needsTeacher({ distillationType }: Pick<DistillationFlags, "distillationType">): boolean {
  return distillationType !== "none" && distillationType !== "labels";
}

/** What a user of a distilled model should hear of it: its second head may have nothing to learn. */
export function distillationWarnings(
  { distillationType, trainMode }: DistillationFlags,
  { config: { distilled } }: Model,
): string[] {
  if (!distilled || distillationType !== "none" || !trainMode) return [];
  return [
    "the distillation head learns nothing without a teacher (--teacher-path) or --distillation-type labels; use the class head's results",
  ];
}

/**
 * Undefined without distillation.
 * @throws ConfigError for one that lacks its teacher or its head, or that nothing would come of
 */
export function distillationRequest(
  flags: DistillationFlags,
  student: Model,
): DistillationRequest | undefined {
  const { distillationType: type, teacherPath: path } = flags;
  if (type === "none") {
    if (path === null) return undefined;
    throw new ConfigError("teacherPath", "there is a teacher, but nothing is learnt from it", {
      code: "options/conflict",
      hint: "Add --distillation-type hard (or soft), or leave out --teacher-path.",
    });
  }
  checkTeacher(type, path);
  checkHead(flags, student);
  return {
    losses: {
      type,
      alpha: flags.distillationAlpha,
      tau: flags.distillationTau,
      reduction: flags.distillationReduction,
      head: flags.distillationHead,
      trueLabels: flags.distillationLabels,
    },
    teacher: path === null ? undefined : teacherRequest(path, flags),
  };
}

function teacherRequest(path: string, flags: DistillationFlags): TeacherRequest {
  const { teacherInputSize, teacherMean, teacherStd, teacherCache: folder, teacherCacheGib } = flags;
  return {
    path,
    model: flags.teacherModel ?? undefined,
    weights: flags.teacherWeights ?? undefined,
    inputSize: teacherInputSize ?? undefined,
    mean: teacherMean ?? undefined,
    std: teacherStd ?? undefined,
    embedding: flags.distillationType === "feature" ? flags.distillationHead : undefined,
    cache: folder === null ? undefined : { folder, maxBytes: teacherCacheGib * 2 ** 30 },
  };
}

function checkTeacher(type: DistillationType, path: string | null): void {
  const isNeeded = needsTeacher({ distillationType: type });
  if (isNeeded && path === null) {
    throw new ConfigError("teacherPath", `${type} distillation needs a teacher`, {
      code: "options/missing",
      hint: "Add --teacher-path with a .safetensors or .onnx file or a run folder.",
    });
  }
  if (!isNeeded && path !== null) {
    throw new ConfigError("teacherPath", `--distillation-type ${type} has no teacher`, {
      code: "options/conflict",
      hint: "Leave out --teacher-path, or choose hard or soft.",
    });
  }
}

function checkHead(flags: DistillationFlags, { config: { distilled }, name }: Model): void {
  const { distillationHead: head, distillationType: type, distillationLabels } = flags;
  if (type === "feature" && distillationLabels > 0) {
    throw new ConfigError("distillationLabels", "--distillation-labels has no meaning for embeddings", {
      code: "options/conflict",
      hint: "Leave it out: both heads learn the true labels, weighed by --distillation-alpha.",
    });
  }
  if (head === "token") {
    if (distilled) return;
    throw new ConfigError("distillationHead", `${name} has no distillation token to learn with`, {
      code: "options/unsupported-by-model",
      hint: `Take its distilled form (--model ${distilledName(name)}), or --distillation-head class.`,
    });
  }
  if (distilled) {
    throw new ConfigError(
      "distillationHead",
      `--distillation-head class would leave the distillation token of ${name} without a loss`,
      { code: "options/unsupported-by-model", hint: "Take the plain model, or --distillation-head token." },
    );
  }
  if (type !== "labels" && distillationLabels === 0) return;
  throw new ConfigError("distillationHead", "--distillation-head class learns the true labels already", {
    code: "options/conflict",
    hint: "Leave out --distillation-labels; for two class tokens take a distilled model.",
  });
}

function distilledName(name: string): string {
  return name.startsWith("deit_") ? name.replace("_patch", "_distilled_patch") : "deit_…_distilled_…";
}
