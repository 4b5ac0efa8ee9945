/**
 * Training from code: what the commands train and finetune do. Nothing is printed; progress goes to `onEvent`, and what a
 * user can fix is thrown as a DeitError.
 */
import { requireImages } from "../config/resolve.ts";
import type { TrainInput } from "../config/schema.ts";
import type { ImageTransform } from "../data/loading/batch.ts";
import type { GivenImages } from "../data/open.ts";
import { MEMORY } from "../data/open.ts";
import type { TeacherFunction } from "../distillation/teacher-function.ts";
import { FUNCTION } from "../distillation/teacher-function.ts";
import { ConfigError } from "../errors.ts";
import type { Metrics } from "../evaluation/own-metrics.ts";
import { joinRanks } from "../ranks/mpi-ranks.ts";
import type { RankGroup } from "../ranks/mpi-ranks.ts";
import type { ChooseRequest } from "../training/choose-options.ts";
import { chooseOptions } from "../training/choose-options.ts";
import { chooseTogether, ranksToStart } from "../training/choose-together.ts";
import type { GivenParts } from "../training/given-parts.ts";
import type { TrainingPlan } from "../training/plan.ts";
import { planTraining } from "../training/plan.ts";
import { estimate as estimateRun, train as trainRun } from "../training/train.ts";
import type { Estimate, TrainHooks, TrainResult } from "../training/train.ts";
import type { LabelledImages } from "./create-dataset.ts";
import { createDataset } from "./create-dataset.ts";

/** Every option of `deit train`, and what only code can give: images in memory and functions. */
export interface TrainRequest extends TrainInput {
  /** Images to train on, instead of `dataPath`. */
  readonly images?: LabelledImages | undefined;
  /** Images to validate with; default: `valSplit` of `images` is held out. */
  readonly validation?: LabelledImages | undefined;
  /** Names of the classes by index, where images do not say. */
  readonly classes?: readonly string[] | undefined;
  /**
   * Changes each training image before the recipe's crop and augmentation, in this thread. All its randomness should come
   * from the `random` that it is given, so that a resumed run is the same.
   */
  readonly transform?: ImageTransform | undefined;
  /** Answers for each batch, instead of `teacherPath`: any model, anywhere. */
  readonly teacher?: TeacherFunction | undefined;
  /** Measured on the validation images beside accuracy and loss: in the `epoch` event, and as `test_NAME` in the log. */
  readonly metrics?: Metrics | undefined;
}

/**
 * Trains a model as `deit train` does, or continues the run in `outputDir`. With a `model`, DeiT's defaults hold for every
 * option that is left out; without one, a model and a run of about five minutes are chosen for the images, or with `finetune`
 * for checkpoint and images. What was chosen is a `note` event.
 *
 *     const run = await train({ dataPath: "./photos", epochs: 20 }, { onEvent, signal });
 *     const other = await train({ images: [{ image: bytes, label: "cat" }, …] });
 *
 * In a program that an MPI launcher has started several times (`mpirun -n 2 node PROGRAM`) these processes train together:
 * each calls it, events come and files are written in the first one.
 *
 * @throws InterruptedError after saving, when `signal` is aborted; NonFiniteError when the loss is not finite; ConfigError,
 * DataError, DeviceError and the other kinds of DeitError for everything else that a user can fix
 */
export async function train(input: TrainRequest, hooks?: TrainHooks): Promise<TrainResult> {
  return run(await request(input), hooks);
}

/**
 * Fine-tunes as `deit finetune` does: from `finetune`, or from the pretrained DeiT-Ti where none is named. Options that are
 * left out are chosen for checkpoint and images. Throws as `train`.
 */
export async function finetune(input: TrainRequest, hooks?: TrainHooks): Promise<TrainResult> {
  return run(await request(input, { finetuning: true }), hooks);
}

/**
 * Continues a run by its recorded options, as `deit train RUN` does. `changes` may make it longer (`epochs`), and say where
 * and how it is computed. Images and functions are not in a run folder: give them again. Throws as `train`.
 */
export async function resume(
  folder: string,
  changes: TrainRequest = {},
  hooks?: TrainHooks,
): Promise<TrainResult> {
  return run(await request(changes, { source: folder }), hooks);
}

/** Time, memory and disk that such a run takes on this machine, from its first steps. Writes nothing. Throws as `train`. */
export async function estimate(input: TrainRequest): Promise<Estimate> {
  const { plan, given } = await planned(await request(input));
  return estimateRun(plan, given);
}

interface Request {
  readonly choose: ChooseRequest;
  readonly given: GivenParts;
}

/** @throws ConfigError for what is given twice */
async function request(
  { images, validation, classes, transform, teacher, metrics, ...input }: TrainRequest,
  from: Pick<ChooseRequest, "source" | "finetuning"> = {},
): Promise<Request> {
  if (images === undefined && (validation ?? classes) !== undefined) {
    throw new ConfigError("images", "validation images or classes are given without images to train on", {
      code: "options/missing",
      hint: "Give images, too. A folder has its own: train/ and val/.",
    });
  }
  if (images !== undefined) refuseBoth("images", "dataPath", input.dataPath);
  if (teacher !== undefined) refuseBoth("teacher", "teacherPath", input.teacherPath);
  const opened = images && (await openImages({ images, validation, classes }));
  // A run records that its images and teacher came from code. One that is continued has recorded it.
  const isNew = from.source === undefined;
  const values = {
    ...input,
    ...(isNew && opened && { dataPath: MEMORY + opened.train.name }),
    ...(isNew && teacher && { teacherPath: FUNCTION + (teacher.name || "teacher") }),
  };
  return {
    choose: { ...from, given: { source: "code", spelling: "key", values }, images: opened },
    given: { images: opened, transform, teacher, metrics },
  };
}

async function openImages({
  images,
  validation,
  classes,
}: Required<Pick<TrainRequest, "images">> &
  Pick<TrainRequest, "validation" | "classes">): Promise<GivenImages> {
  const train = await createDataset(images ?? [], { classes });
  if (validation === undefined) return { train };
  return {
    train,
    validation: await createDataset(validation, { name: "validation images", classes: train.classes }),
  };
}

function refuseBoth(
  name: string,
  option: "dataPath" | "teacherPath",
  value: string | null | undefined,
): void {
  if (value === undefined || value === null) return;
  throw new ConfigError(option, `${name} and ${option} are both given`, {
    code: "options/conflict",
    hint: "Leave one of them out.",
  });
}

async function planned(
  { choose, given }: Request,
  ranks?: RankGroup,
): Promise<{
  readonly plan: TrainingPlan;
  readonly given: GivenParts;
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
}> {
  const chosen = await chooseTogether(ranks, { source: choose.source, layer: choose.given }, async () =>
    chooseOptions(choose),
  );
  requireImages(chosen.options);
  return { plan: planTraining(chosen.options, chosen), given, warnings: chosen.notes, notes: chosen.chosen };
}

async function run(request: Request, hooks: TrainHooks = {}): Promise<TrainResult> {
  const ranks = await joinRanks();
  if (ranks === undefined) refuseRanks(request.choose.given.values["ranks"]);
  const { plan, given, warnings, notes } = await planned(request, ranks);
  if (ranks !== undefined && ranks.rank > 0) return trainRun(plan, hooks, given, ranks);
  for (const message of warnings) hooks.onEvent?.({ type: "warning", message });
  for (const message of notes) hooks.onEvent?.({ type: "note", message });
  return trainRun(plan, hooks, given, ranks);
}

/** @throws ConfigError for several ranks in a program that was started once */
function refuseRanks(asked: unknown): void {
  const ranks = ranksToStart(asked, undefined);
  if (ranks === undefined) return;
  throw new ConfigError("ranks", `ranks is ${ranks}, and this program was started once`, {
    code: "ranks/no-launcher",
    hint: `Start it as several processes, which find each other: mpirun -n ${ranks} node PROGRAM.`,
  });
}
