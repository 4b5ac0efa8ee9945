/** Training as it is shown on stderr: a bar with loss, rate and time left, and a line for each epoch. */
import type { TrainEvent } from "../../training/train.ts";
import { countOf, FEW_IMAGES, shareOf } from "../../evaluation/metrics/share.ts";
import { duration, integer, short } from "./text-format.ts";
import type { Output } from "../output.ts";
import { createProgress, rateMeter } from "./progress-line.ts";
import type { Progress } from "./progress-line.ts";

export interface TrainingView {
  readonly show: (event: TrainEvent) => void;
  /** Prints a line without disturbing the bar. */
  readonly line: (text: string) => void;
  readonly stop: () => void;
}

export function trainingView(output: Output): TrainingView {
  let progress: Progress = createProgress("training");
  let phase = "training";
  let epochs = 1;
  let images = 0;
  let classes = 0;
  let choosesBest = true;
  let meter = rateMeter("images");
  const enter = (next: string): void => {
    if (next === phase) return;
    progress.stop();
    [phase, progress, meter] = [next, createProgress(next), rateMeter("images")];
  };
  return {
    line: (text) => progress.line(text),
    stop: () => progress.stop(),
    show(event) {
      switch (event.type) {
        case "start":
          epochs = event.epochs;
          images = event.valImages;
          classes = event.classes;
          choosesBest = event.selection === "best";
          for (const line of startLines(event)) progress.line(line);
          break;
        case "step":
          enter(`epoch ${event.epoch + 1}/${epochs}`);
          progress.update(event.step, event.steps, stepText(event));
          break;
        case "evaluate":
          enter("validating");
          progress.update(event.done, event.total, meter(event.done, event.total));
          break;
        case "epoch":
          enter("between epochs");
          progress.line(
            epochLine(event, { images, classes, choosesBest, width: process.stderr.columns ?? 80 }),
          );
          break;
        case "warning":
          progress.stop();
          output.warn(event.message);
          break;
        case "note":
          progress.line(event.message);
          break;
        case "saved": // once an epoch: no news
      }
    },
  };
}

type Event<T extends TrainEvent["type"]> = Extract<TrainEvent, { type: T }>;

function startLines(event: Event<"start">): string[] {
  const lines = [
    `${event.model}: ${integer(event.parameters)} parameters; ${event.device}`,
    `${integer(event.trainImages)} images to train, ${event.heldOut > 0 ? `${integer(event.heldOut)} held out to validate` : "none held out"}${event.classes > 1 ? `, ${event.classes} classes` : ""}; ` +
      `${integer(event.stepsPerEpoch)} steps an epoch, ${event.epochs === 1 ? "1 epoch" : `${event.epochs} epochs`}; run folder ${event.run}`,
  ];
  const { uniqueImages, trainImages, repeats } = event;
  if (uniqueImages < trainImages - trainImages / 10) {
    lines.push(
      repeats > 1
        ? `repeated augmentation: an epoch shows ${integer(uniqueImages)} different images, several times each`
        : `an epoch shows ${integer(uniqueImages)} of them, different ones each time: images that do not fill an update are skipped`,
    );
  }
  if (event.teacher !== undefined) lines.push(`teacher: ${event.teacher}`);
  if (event.selection === "last" && event.heldOut > 0 && event.epochs > 1) {
    lines.push(
      event.heldOut < FEW_IMAGES
        ? `${integer(event.heldOut)} held-out images are too few to choose an epoch by: best.safetensors will be the last one (--select-epoch best chooses)`
        : "best.safetensors will be the last epoch (--select-epoch last)",
    );
  }
  const resumed = event.resumedFrom;
  if (resumed !== undefined) lines.push(`resuming from epoch ${resumed.epoch + 1}, step ${resumed.step}`);
  return lines;
}

function stepText({ loss, skipped, imagesPerSecond, secondsLeft }: Event<"step">): string {
  const missing = skipped === 0 ? "" : `${skipped} skipped, `;
  return `loss ${loss.toFixed(3)}, ${missing}${short(imagesPerSecond)} images/s, ${duration(secondsLeft)} left`;
}

/**
 * One line of a terminal: what does not fit is left out, top-5 first, then of how many images, then the validation loss.
 * @param images that it validates with
 */
function epochLine(
  {
    epoch,
    epochs,
    trainLoss,
    testLoss,
    acc1,
    acc5,
    averageAcc1,
    teacherSimilarity,
    best,
    seconds,
  }: Event<"epoch">,
  {
    images,
    classes,
    choosesBest,
    width,
  }: { images: number; classes: number; choosesBest: boolean; width: number },
): string {
  const percent = (value: number): string => `${value.toFixed(2).padStart(6)} %`;
  const counted = `${percent(acc1)} (${countOf(shareOf(acc1, images))})`;
  const line = ({ top5 = false, count = false, loss = false }): string =>
    [
      `epoch ${String(epoch + 1).padStart(String(epochs).length)}/${epochs}`,
      `loss ${trainLoss.toFixed(3)}`,
      ...(Number.isNaN(testLoss)
        ? ["not validated"]
        : [
            ...(loss && classes > 1 ? [`val ${testLoss.toFixed(3)}`] : []),
            ...(teacherSimilarity === undefined ? [] : [`cosine ${teacherSimilarity.toFixed(4)}`]),
            ...(classes > 1 ? [`top-1 ${count ? counted : percent(acc1)}`] : []),
            ...(top5 && classes > 5 ? [`top-5 ${percent(acc5)}`] : []),
          ]),
      ...(averageAcc1 === undefined ? [] : [`average ${percent(averageAcc1)}`]),
      duration(seconds),
      ...(best && choosesBest ? ["best"] : []),
    ].join("  ");
  const forms = [{ top5: true, count: true, loss: true }, { count: true, loss: true }, { loss: true }].map(
    line,
  );
  return forms.find(({ length }) => length <= width) ?? line({});
}
