/**
 * Training from code: what the commands train, finetune and estimate do. Nothing is printed; progress goes to `onEvent`, and
 * what a user can fix is thrown as a DeitError.
 */
import type { TrainInput } from "../config/schema.ts";
import { requireImages } from "../config/resolve.ts";
import type { ChosenOptions, ChooseRequest } from "../training/choose-options.ts";
import { chooseOptions } from "../training/choose-options.ts";
import { planTraining } from "../training/plan.ts";
import { estimate as estimateRun, train as trainRun } from "../training/train.ts";
import type { Estimate, TrainHooks, TrainResult } from "../training/train.ts";

/**
 * Trains a model as `deit train` does, or goes on with the run in `outputDir`. With a `model`, DeiT's defaults hold
 * for every option that is left out; without one, a model and a run of about five minutes are chosen that suit the
 * images, or with `finetune` the checkpoint and the images. What was chosen is a `note` event.
 * @throws InterruptedError after saving, when `signal` is aborted; NonFiniteError when the loss is no number any
 * more; ConfigError, DataError, DeviceError and their kin for everything else that a user can mend
 */
export async function train(input: TrainInput, hooks?: TrainHooks): Promise<TrainResult> {
  return trainChosen({ given: asLayer(input) }, hooks);
}

/**
 * Fine-tunes as `deit finetune` does: from `finetune`, or from the pretrained DeiT-Ti where none is named. Options that
 * are left out are chosen for checkpoint and images. Throws as `train`.
 */
export async function finetune(input: TrainInput, hooks?: TrainHooks): Promise<TrainResult> {
  return trainChosen({ given: asLayer(input), finetuning: true }, hooks);
}

/**
 * Goes on with a run by its recorded options, as `deit train RUN` does. `changes` may make it longer (`epochs`), and
 * say where and how it is computed. Throws as `train`.
 */
export async function resume(
  run: string,
  changes: TrainInput = {},
  hooks?: TrainHooks,
): Promise<TrainResult> {
  return trainChosen({ source: run, given: asLayer(changes) }, hooks);
}

/** Time, memory and disk that such a run takes on this machine, from its first steps. Writes nothing. */
export async function estimate(input: TrainInput): Promise<Estimate> {
  const { options } = await chosenOptions({ given: asLayer(input) });
  return estimateRun(planTraining(options));
}

async function trainChosen(request: ChooseRequest, hooks: TrainHooks = {}): Promise<TrainResult> {
  const input = await chosenOptions(request);
  for (const message of input.notes) hooks.onEvent?.({ type: "warning", message });
  for (const message of input.chosen) hooks.onEvent?.({ type: "note", message });
  return trainRun(planTraining(input.options, input), hooks);
}

async function chosenOptions(request: ChooseRequest): Promise<ChosenOptions> {
  const chosen = await chooseOptions(request);
  requireImages(chosen.options);
  return chosen;
}

function asLayer(values: TrainInput): ChooseRequest["given"] {
  return { source: "code", spelling: "key", values };
}
