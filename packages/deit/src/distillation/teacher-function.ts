/** A teacher that is a function: any model, anywhere, that answers for the student's images. */
import type { Normalisation } from "../augmentation/normalisation.ts";
import { ConfigError, DeitError } from "../errors.ts";
import type { Teacher } from "./teacher-program.ts";

/** Images as the student sees them, cropped, augmented and mixed: [B, 3, H, W], normalised. */
export interface TeacherImages {
  readonly pixels: Float32Array;
  readonly shape: readonly [batch: number, channels: number, height: number, width: number];
}

/** Logits [B, K], row-major, in the order of the student's classes. Called once a step. */
export type TeacherFunction = (images: TeacherImages) => Float32Array | Promise<Float32Array>;

/** Before the name of a function, where a run records its `teacherPath`. */
export const FUNCTION = "function:";

/** @throws ConfigError where its answers are to be kept (nothing says when a function has changed), or are to be embeddings */
export function functionTeacher(
  answer: TeacherFunction,
  {
    name,
    cached,
    embedding,
    ...student
  }: {
    readonly name: string;
    readonly cached: boolean;
    readonly embedding: boolean;
    readonly inputSize: readonly [number, number];
    readonly normalisation: Normalisation;
    readonly numClasses: number;
  },
): Teacher {
  if (cached) {
    throw new ConfigError("teacherCache", "the outputs of a teacher that is a function cannot be cached", {
      code: "options/conflict",
      hint: "Leave out teacherCache, or export the teacher to ONNX and name its file: teacherPath.",
    });
  }
  if (embedding) {
    throw new ConfigError("distillationType", "a teacher that is a function returns logits, not embeddings", {
      code: "options/conflict",
      hint: "Choose hard, soft or soft-labels, or export the teacher to ONNX and name its file: teacherPath.",
    });
  }
  const [height, width] = student.inputSize;
  return {
    inputSize: student.inputSize,
    normalisation: student.normalisation,
    name,
    order: undefined,
    answers: "logits",
    width: student.numClasses,
    hash: name,
    source: {
      load: async (_, { batchSize }) => {
        const expected = batchSize * student.numClasses;
        return async (pixels) => {
          const logits = await answer({ pixels, shape: [batchSize, 3, height, width] });
          if (logits instanceof Float32Array && logits.length === expected) return logits;
          throw new DeitError(
            `the teacher ${name} returned ${logits instanceof Float32Array ? `${logits.length} numbers` : typeof logits}; expected a Float32Array of ${batchSize} × ${student.numClasses} logits`,
            {
              code: "teacher/wrong-answer",
              hint: "Return a logit for each of the student's classes, image after image.",
            },
          );
        };
      },
    },
  };
}

/** @throws ConfigError for a run whose teacher was a function, which nobody gives now */
export function requireTeacher(path: string): void {
  if (!path.startsWith(FUNCTION)) return;
  throw new ConfigError(
    "teacherPath",
    `the teacher of this run, ${path.slice(FUNCTION.length)}, is a function`,
    {
      code: "teacher/not-given",
      hint: "Give it again: resume(RUN, { teacher }).",
    },
  );
}
