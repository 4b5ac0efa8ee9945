/** The parts of `deit distill` around its training: the teacher's labels before, the truth after. */
import { basename, dirname, extname, join, resolve } from "node:path";
import type { Command } from "commander";
import { ConfigError } from "../errors.ts";
import type { TeacherLabels } from "../distillation/label-images.ts";
import type { ShareReport } from "../evaluation/metrics/share.ts";
import { describeShare, shareOf, shareReport } from "../evaluation/metrics/share.ts";
import { fetchCheckpoint } from "./fetch-checkpoint.ts";
import { integer } from "./views/text-format.ts";
import type { Output } from "./output.ts";
import { givenOptions } from "./schema-flags.ts";
import { withProgress } from "./views/with-progress.ts";

export interface DistillFlags {
  classes?: string;
  labelled?: string;
  labelsDir?: string;
  randomWeights?: true;
}

const TEACHER = [
  "teacherPath",
  "teacherModel",
  "teacherWeights",
  "teacherInputSize",
  "teacherMean",
  "teacherStd",
  "workers",
] as const;

/** Asks the teacher about all images. @throws ConfigError without a teacher */
export async function teachersLabels(
  images: string,
  flags: DistillFlags,
  { command, output }: { command: Command; output: Output },
): Promise<TeacherLabels> {
  const { teacherPath: path, workers, ...teacher } = givenOptions(command, TEACHER);
  if (path === undefined || path === null)
    throw new ConfigError("teacherPath", "distilling needs a teacher", {
      code: "options/missing",
      hint: "Add --teacher-path with a .safetensors or .onnx file, a run folder or a Hub id.",
    });
  await fetchCheckpoint(path);
  const { labelImages } = await import("../distillation/label-images.ts");
  const labels = await withProgress({ output, label: "asking the teacher", unit: "images" }, (hooks) =>
    labelImages(
      {
        images,
        teacher: {
          path,
          model: teacher.teacherModel ?? undefined,
          weights: teacher.teacherWeights ?? undefined,
          inputSize: teacher.teacherInputSize ?? undefined,
          mean: teacher.teacherMean ?? undefined,
          std: teacher.teacherStd ?? undefined,
        },
        classes: flags.classes?.split(",").map((name) => name.trim()),
        folder: flags.labelsDir ?? join("runs", `${basename(resolve(images))}-by-${teacherName(path)}`),
        workers,
      },
      hooks,
    ),
  );
  output.note(
    `${labels.teacher} found ${integer(labels.found)} of ${integer(labels.classes.length)} classes in ${integer(labels.images)} images and is unsure of ${integer(labels.unsure)} (${labels.doubts})`,
  );
  return labels;
}

/** `teacher.onnx` → teacher; `runs/large/model.safetensors` → large. */
function teacherName(path: string): string {
  const name = basename(resolve(path), extname(path));
  return name === "model" || name === "best" ? basename(dirname(resolve(path))) : name;
}

export interface Truth {
  readonly images: number;
  readonly student: ShareReport;
  readonly teacher: ShareReport;
}

/** How often student and teacher are right about a labelled folder. */
export async function truthOf(
  labelled: string,
  { run, teacher, output }: { run: string; teacher: string; output: Output },
): Promise<Truth> {
  const { measureCheckpoints } = await import("../evaluation/measure-checkpoints.ts");
  const { models } = await withProgress({ output, label: "measuring", unit: "images" }, (hooks) =>
    measureCheckpoints({ checkpoints: [`student=${run}`, `teacher=${teacher}`], dataPath: labelled }, hooks),
  );
  const [student, other] = models.map(({ report }) => report);
  const share = (report: typeof student): ShareReport =>
    shareReport(shareOf(report?.acc1 ?? Number.NaN, report?.images ?? 0));
  return { images: student?.images ?? 0, student: share(student), teacher: share(other) };
}

/** The lines of the result that are about the teacher. */
export function teacherFacts(
  labels: TeacherLabels,
  truth: Truth | undefined,
): (readonly [string, string | undefined])[] {
  return [
    ["teacher", labels.teacher],
    ["labels", labels.folder],
    ["unsure of", `${integer(labels.unsure)} images: ${labels.doubts}`],
    ["student is right", truth && `${describeShare(truth.student)} of labelled images`],
    ["teacher is right", truth && describeShare(truth.teacher)],
  ];
}
