/** A teacher's answers beside the student's program: computed, or read from the cache when they are known. */
import { bridge } from "../../distillation/bridge.ts";
import type { Teacher } from "../../distillation/teacher-program.ts";
import { tracedAnswers } from "../../distillation/teacher-program.ts";
import type { ProgramOptions } from "../../evaluation/evaluation-program.ts";
import { TEACHER_INPUT } from "../../evaluation/evaluation-program.ts";
import type { ExtraFeeds } from "../../evaluation/logits.ts";
import type { Program } from "../../graph/program.ts";
import { optimizeOutputs } from "../../graph/passes/forward.ts";
import { compile } from "../../graph/program.ts";
import { reorderClasses } from "../../models/match-classes.ts";
import type { Runtime, TensorData } from "../../runtime/runtime.ts";
import type { BatchInputs } from "./training-programs.ts";
import { batchPixels } from "./training-programs.ts";

/** Feeds of a batch's program → the teacher's logits [B, K], in the student's order, or embeddings [B, D]. */
type Answer = (feeds: Readonly<Record<string, TensorData>>) => Promise<Float32Array>;

export interface TeacherAnswers {
  /** The logits [B, K] for a step's images, given as the feeds of the student's program. */
  answer(step: {
    readonly epoch: number;
    readonly step: number;
    readonly feeds: Readonly<Record<string, TensorData>>;
  }): Promise<Float32Array>;
  /** What the cache did; undefined without one. */
  readonly cache: AnswerCache | undefined;
}

/** Where answers are kept from one run to another. */
export interface AnswerCache {
  /** The logits [B, K] of a step, bit for bit as they were written; undefined when they are not there. */
  read(epoch: number, step: number): Promise<Float32Array | undefined>;
  /** Keeps them; does nothing once it is full. They must not change until the promise settles. */
  write(epoch: number, step: number, logits: Float32Array): Promise<void>;
  readonly statistics: { readonly hits: number; readonly misses: number };
  /** Whether answers were not kept, since there is no room for them. */
  readonly full: boolean;
}

export interface TeacherSetup {
  readonly teacher: Teacher;
  readonly inputs: BatchInputs;
  readonly cache: AnswerCache | undefined;
}

/** Feeds of a batch's program, with the answers of a teacher that runs beside it. */
export async function withAnswers(
  teacher: TeacherAnswers | undefined,
  step: Parameters<TeacherAnswers["answer"]>[0],
): Promise<Readonly<Record<string, TensorData>>> {
  return teacher === undefined ? step.feeds : { ...step.feeds, [TEACHER_INPUT]: await teacher.answer(step) };
}

/** A function that says once that there is no more room for the answers. */
export function tellFullCache(
  teacher: TeacherAnswers | undefined,
  onWarning: (message: string) => void,
): () => void {
  let isTold = false;
  return () => {
    if (isTold || teacher?.cache?.full !== true) return;
    isTold = true;
    onWarning("the teacher cache is full: the remaining outputs are computed again (--teacher-cache-gib)");
  };
}

/** Loads a teacher beside the student's program. `inputs`: what that program is fed with. */
export async function loadTeacherAnswers(
  runtime: Runtime,
  shared: ProgramOptions,
  { teacher, inputs, cache }: TeacherSetup,
): Promise<TeacherAnswers> {
  const compute = await loadAnswer(runtime, shared, { teacher, inputs });
  return {
    cache,
    async answer({ epoch, step, feeds }) {
      const known = await cache?.read(epoch, step);
      if (known !== undefined) return known;
      const logits = await compute(feeds);
      await cache?.write(epoch, step, logits);
      return logits;
    },
  };
}

/**
 * What the evaluation of a student of embeddings is fed with besides images: the teacher's embeddings. Those of each batch
 * are computed once and kept: validation images are the same in every epoch.
 */
export async function loadEvaluationFeeds(
  runtime: Runtime,
  shared: ProgramOptions,
  teacher: Teacher,
): Promise<ExtraFeeds> {
  const compute = await loadAnswer(runtime, shared, { teacher, inputs: {} });
  const known = new Map<string, Float32Array>();
  return async ({ images, samples }) => {
    const key = samples.join();
    const answers = known.get(key) ?? (await compute({ images }));
    known.set(key, answers);
    return { [TEACHER_INPUT]: answers };
  };
}

async function loadAnswer(
  runtime: Runtime,
  shared: ProgramOptions,
  { teacher, inputs }: Omit<TeacherSetup, "cache">,
): Promise<Answer> {
  const pixels = batchPixels(shared, inputs);
  const load = async (outputs: Parameters<typeof compile>[0]["outputs"]): Promise<Answer> => {
    const program = compile({
      name: `${teacher.name}.teacher`,
      target: runtime.target,
      outputs: optimizeOutputs(outputs),
    });
    const executable = await runtime.load(program);
    return async (feeds) => {
      const [result] = Object.values(await executable.run(pick(feeds, program)));
      if (!(result instanceof Float32Array)) throw new TypeError("a teacher's program returned no float32");
      return result;
    };
  };
  const { source, order, width } = teacher;
  if ("model" in source)
    return load({ answers: tracedAnswers({ ...teacher, source }, pixels, shared.normalisation) });
  const prepare = await load({ pixels: bridge(pixels, shared.normalisation, teacher) });
  const answer = await source.load(runtime, { batchSize: shared.batchSize });
  return async (feeds) => reorderClasses(await answer(await prepare(feeds)), { order, numClasses: width });
}

function pick(feeds: Readonly<Record<string, TensorData>>, { inputs }: Program): Record<string, TensorData> {
  return Object.fromEntries(Object.entries(feeds).filter(([name]) => name in inputs));
}
