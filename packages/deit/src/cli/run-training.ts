/** A training, or an estimate of one, as the commands show it: progress, result, report. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { TrainingPlan } from "../training/plan.ts";
import type { RankGroup } from "../ranks/mpi-ranks.ts";
import type { Selection } from "../evaluation/metrics/share.ts";
import {
  countOf,
  describeSelection,
  describeShare,
  imagesText,
  percentText,
} from "../evaluation/metrics/share.ts";
import type { EpochResult } from "../training/run/best-epoch.ts";
import { duration, facts, integer, mebibytes, short } from "./views/text-format.ts";
import { withInterrupt } from "./interrupt.ts";
import type { Output } from "./output.ts";
import { RUN_EXPORT, runImages } from "./run-options.ts";
import type { TaughtImages } from "./teach.ts";
import { teacherFacts, truthOf } from "./teach.ts";
import { trainingView } from "./views/training-view.ts";
import type { TrainingView } from "./views/training-view.ts";
import { firstLine } from "../errors.ts";
import { shellWord } from "../printable.ts";
import type { UiServer } from "../serve/ui.ts";

/** What a run would take; nothing is trained. */
export async function runEstimate(plan: TrainingPlan, output: Output): Promise<void> {
  const { estimate } = await import("../training/train.ts");
  output.note("timing a few steps…");
  const result = await estimate(plan);
  output.result(result, () =>
    [
      `${duration(result.seconds)} for this run on this machine`,
      facts([
        ["model", `${result.model}, ${integer(result.parameters)} parameters`],
        [
          "steps",
          `${integer(result.steps)} (${integer(result.stepsPerEpoch)} an epoch, ${plan.loop.epochs} epochs)`,
        ],
        ["images/s", short(result.imagesPerSecond)],
        [
          "memory",
          `${mebibytes(result.peakRssMiB)} of this process; the model's state ${mebibytes(result.stateMiB)}, a batch ${mebibytes(result.batchMiB)}`,
        ],
        ["precision", result.precision],
        ["disk", mebibytes(result.diskMiB)],
      ]),
    ].join("\n"),
  );
}

interface RunOptions {
  readonly exports: boolean | undefined;
  readonly byDefault: boolean;
  /** Shown in a browser meanwhile. */
  readonly ui?: true | undefined;
  /** Of a student without true labels: its teacher's, and a folder that has true ones. */
  /** The processes that train together, of which the first one shows and writes. */
  readonly ranks?: RankGroup | undefined;
  readonly taught?: (TaughtImages & { readonly labelled: string | undefined }) | undefined;
}

/** Trains, then writes the report; exports where that is asked for, and where an older state of the run was exported. */
export async function runTraining(
  plan: TrainingPlan,
  output: Output,
  { exports: asked, byDefault, taught, ranks, ui: isShown }: RunOptions,
): Promise<void> {
  const isClassifier = taught?.by !== "embeddings"; // else its classes are none
  const exports = asked ?? ((byDefault && isClassifier) || existsSync(join(plan.run.folder, RUN_EXPORT)));
  const { train } = await import("../training/train.ts");
  if (ranks !== undefined && ranks.rank > 0) {
    await withInterrupt(
      async (signal) => train(plan, { signal }, {}, ranks),
      () => {},
    );
    return ranks.leave();
  }
  const view = trainingView(output);
  let classes = 0;
  let ui: Promise<UiServer | undefined> | undefined;
  const onEvent: typeof view.show = (event) => {
    if (event.type === "start") {
      ({ classes } = event);
      if (isShown) ui ??= showRun(event.run, view);
    }
    view.show(event);
  };
  const work = (signal: AbortSignal): ReturnType<typeof train> => train(plan, { onEvent, signal }, {}, ranks);
  const onFirst = (): void => view.line("stopping after this step, then saving (Ctrl-C again ends at once)");
  const result = await withInterrupt(work, onFirst).finally(async () => {
    view.stop();
    await (await ui)?.[Symbol.asyncDispose]();
  });
  await ranks?.leave(); // what follows is work for one
  const report = isClassifier ? await writeReport(result.run, view, output).finally(view.stop) : null;
  const exported = exports
    ? await writeExport(result.run, plan, { view, output, selection: result.selection }).finally(view.stop)
    : null;
  const labelled = taught?.labelled;
  const truth =
    taught === undefined || labelled === undefined
      ? undefined
      : await truthOf(labelled, { run: result.run, teacher: plan.teacher, by: taught.by, output });
  const measure = isClassifier ? (taught ? "agreement with the teacher" : "top-1") : undefined;
  const about = taught && { teacher: taught.labels, ...(truth && { truth }) };
  output.result({ ...result, report, ...(exports && { exported }), ...about }, () =>
    [
      `${result.imagesPerSecond > 0 ? `trained ${result.model} in ${duration(result.seconds)}` : `${result.model} is trained`}: ${figureText(result.best, result.selection, measure)}`,
      facts([
        ["chosen", describeSelection(result.selection)],
        [
          "last epoch",
          result.selection.rule === "best" ? figureText(result.last, result.selection, measure) : undefined,
        ],
        ["top-5", classes > 5 ? `${result.best.acc5.toFixed(2)} %` : undefined],
        ["images/s", result.imagesPerSecond > 0 ? short(result.imagesPerSecond) : undefined],
        ["run folder", result.run],
        ["report", report ?? undefined],
        ["for transformers.js", exported ?? undefined],
        ...(taught ? teacherFacts(taught, truth) : []),
      ]),
      "",
      "Next:",
      ...(isClassifier
        ? [`  deit predict ${shellWord(result.run)} IMAGE…`, `  deit eval ${shellWord(result.run)}`]
        : [`  deit finetune PHOTOS --finetune ${shellWord(result.run)}`]),
      ...(exports || !isClassifier ? [] : [`  deit export ${shellWord(result.run)}`]),
    ].join("\n"),
  );
}

/** The run in a browser tab, until it ends. That it cannot be shown does not stop it. */
async function showRun(run: string, view: TrainingView): Promise<UiServer | undefined> {
  try {
    const { startUi } = await import("../serve/ui.ts");
    const server = await startUi({ runs: [run], port: 0 });
    view.line(`in a browser: ${server.runsUrl}`);
    return server;
  } catch (error) {
    view.line(`--ui: the run cannot be shown: ${firstLine(error)}`);
    return undefined;
  }
}

/** `top-1 90.91 % (10 of 11; 95 % interval 62.3 to 98.4 %) on held-out images, epoch 40` */
function figureText(
  { correct, images, epoch, teacherSimilarity }: EpochResult,
  { heldOut }: Selection,
  measure: string | undefined,
): string {
  const share = { correct, images };
  const where = `on ${imagesText({ heldOut })}, epoch ${epoch + 1}`;
  const cosine = teacherSimilarity?.toFixed(4);
  if (measure === undefined) return `cosine ${cosine} with the teacher's embedding ${where}`;
  // What a model learned from says nothing of other images: no interval either.
  const figure = heldOut > 0 ? describeShare(share) : `${percentText(share)} (${countOf(share)})`;
  return `${measure} ${figure} ${where}${cosine === undefined ? "" : `; cosine with the teacher's embedding ${cosine}`}`;
}

/** Path of the page on the run. That none can be made is not a failure of the training, which is done and saved: null. */
async function writeReport(run: string, view: TrainingView, output: Output): Promise<string | null> {
  const { reportRun } = await import("../report/report.ts");
  try {
    const { report } = await withInterrupt(
      (signal) => reportRun(run, { signal, onEvent: view.show }),
      () => view.line("stopping without a report"),
    );
    return report;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    output.warn(`there is no report, deit report ${shellWord(run)} tries again: ${reason}`);
    return null;
  }
}

/** Path of the folder for transformers.js, made of the best model. As the report: that there is none is not a failure. */
async function writeExport(
  run: string,
  { data, teacher }: Pick<TrainingPlan, "data" | "teacher">,
  { view, output, selection }: { view: TrainingView; output: Output; selection: Selection },
): Promise<string | null> {
  const { exportModel } = await import("../export/export.ts");
  const out = join(run, RUN_EXPORT);
  try {
    await withInterrupt(
      async (signal) =>
        exportModel({
          checkpoint: run,
          format: "transformers-js",
          out,
          ...data,
          recorded: await runImages(run),
          ofRun: true,
          selection,
          teacher: teacher?.path,
          overwrite: true,
          signal,
          onEvent: ({ type, message }) =>
            type === "warning" ? output.warn(message) : view.line(`export: ${message}`),
        }),
      () => view.line("stopping without an export"),
    );
    return out;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    output.warn(`there is no export, deit export ${shellWord(run)} tries again: ${reason}`);
    return null;
  }
}
