/**
 * What the model sees of a training step, and how it came about: for some of the step's pictures every stage from the
 * file to the mixed picture, with its target. The draws are those of training, so a preview shows what a run trains on.
 */
import { noiseValue } from "../augmentation/erasing.ts";
import type { Mix } from "../augmentation/mixup.ts";
import { mixTargets } from "../augmentation/mixup.ts";
import type { Normalisation } from "../augmentation/normalisation.ts";
import { applyOperation, describeOperation } from "../augmentation/operation.ts";
import type { Draw } from "../augmentation/operation.ts";
import type { Picture } from "../augmentation/picture.ts";
import { createTransform } from "../augmentation/transform.ts";
import type { Transform } from "../augmentation/transform.ts";
import type { TrainOptions } from "../config/schema.ts";
import type { Dataset } from "../data/dataset.ts";
import type { PlannedSample } from "../data/plan.ts";
import { sampleRandom } from "../data/plan.ts";
import { ConfigError } from "../errors.ts";
import { mixesOf } from "../training/feeds.ts";
import { checkBatch, checkRecipe, trainPlan, trainTransform } from "../training/setup.ts";
import { smoothTargets } from "../training/task.ts";

/** A picture on its way to the model. */
export interface Stage {
  readonly label: string;
  readonly picture: Picture;
}

/** One row of a batch. */
export interface PreviewRow {
  /** With epoch and seed it names every draw of the sample. */
  readonly sample: PlannedSample;
  readonly file: string;
  readonly label: string;
  readonly draw: Draw;
  readonly stages: readonly Stage[];
  /** Absent where nothing is mixed. */
  readonly mix?: Mix;
  /** Classes with a part in the target, smoothing left out; the largest first. */
  readonly target: readonly { readonly label: string; readonly weight: number }[];
}

export interface PreviewOptions {
  readonly epoch?: number;
  readonly step?: number;
  /** Rows of the batch that are shown, from the first. */
  readonly rows?: number;
  /** One sample in place of a step: it is not mixed, since its partner is the step's. */
  readonly sample?: PlannedSample;
}

/** [height, width] of the model's input. */
type Size = readonly [number, number];

/** The first rows of a training step. @throws ConfigError, DataError as training would */
export async function previewBatch(
  options: TrainOptions,
  { dataset, size }: { dataset: Dataset; size: Size },
  { epoch = 0, step = 0, rows = 8, sample }: PreviewOptions = {},
): Promise<PreviewRow[]> {
  checkRecipe(options);
  const transform = createTransform(trainTransform(options, size));
  const normalisation: Normalisation = { mean: options.mean, std: options.std };
  const context = { options, dataset, transform, normalisation, epoch };
  if (sample !== undefined) {
    if (sample.index >= dataset.length)
      throw new ConfigError(
        "sample",
        `there is no picture ${sample.index}: the dataset has ${dataset.length}`,
      );
    return [rowOf(context, await prepare(context, sample))];
  }
  checkBatch(options, dataset);
  const plan = trainPlan(options, dataset.length);
  if (step >= plan.steps)
    throw new ConfigError("step", `there is no step ${step}: an epoch has ${plan.steps}, from 0 on`);
  const samples = plan.at(epoch, step);
  const mixes = mixesOf(options, { epoch, step, size });
  const targets = targetsOf(samples, { dataset, mixes });
  return Promise.all(
    samples.slice(0, rows).map(async (own, row) => {
      const partner = samples[samples.length - 1 - row];
      const mix = mixes?.[row];
      const prepared = await prepare(context, own);
      const other = mix && partner && (await prepare(context, partner));
      return rowOf(context, prepared, { mix, other, target: targets.subarray(row * dataset.classes.length) });
    }),
  );
}

interface Context {
  readonly options: TrainOptions;
  readonly dataset: Dataset;
  readonly transform: Transform;
  readonly normalisation: Normalisation;
  readonly epoch: number;
}

interface Prepared {
  readonly sample: PlannedSample;
  readonly draw: Draw;
  readonly original: Picture;
  /** The end of the transform. */
  readonly picture: Picture;
  /** Noise codes of erased pixels, planar. */
  readonly codes: Uint8Array | undefined;
}

async function prepare(
  { options, dataset, transform, epoch }: Context,
  sample: PlannedSample,
): Promise<Prepared> {
  const original = await dataset.read(sample.index);
  const draw = transform.draw(sampleRandom(options.seed, epoch, sample), original.width, original.height);
  const picture = transform.apply(original, draw);
  const codes = transform.erases ? new Uint8Array(picture.data.length) : undefined;
  if (codes) transform.erase(draw, codes, 0);
  return { sample, draw, original, picture, codes };
}

function rowOf(
  { dataset, normalisation }: Context,
  own: Prepared,
  { mix, other, target }: { mix?: Mix | undefined; other?: Prepared | undefined; target?: Float32Array } = {},
): PreviewRow {
  const { sample, draw, original } = own;
  const labelled = dataset.labels[sample.index] ?? 0;
  const stages: Stage[] = [{ label: `${original.width}×${original.height}`, picture: original }];
  let picture = original;
  for (const operation of draw) {
    picture = applyOperation(picture, operation);
    const shown =
      operation.op === "erase" && own.codes
        ? seen(modelInput(own, normalisation), picture, normalisation)
        : picture;
    stages.push({ label: describeOperation(operation), picture: shown });
  }
  const isMixed = mix !== undefined && other !== undefined && mix.lambda < 1;
  if (isMixed) {
    const mixed = mixInputs([modelInput(own, normalisation), modelInput(other, normalisation)], mix, picture);
    const label = mix.box ? `CutMix ${mix.box.width}×${mix.box.height}` : `Mixup ${mix.lambda.toFixed(2)}`;
    stages.push({
      label,
      picture: seen(mixed, picture, normalisation),
    });
  }
  return {
    sample,
    file: dataset.describe(sample.index),
    label: dataset.classes[labelled] ?? String(labelled),
    draw,
    stages,
    ...(isMixed && { mix }),
    target: parts(target, dataset, labelled),
  };
}

/** Normalised and erased, planar [3, H, W]: what the program makes of bytes and codes (training/pixels.ts). */
export function modelInput(
  { picture, codes }: { picture: Picture; codes?: Uint8Array | undefined },
  { mean, std }: Normalisation,
): Float32Array {
  const plane = picture.width * picture.height;
  return Float32Array.from({ length: 3 * plane }, (_, i) => {
    const channel = Math.floor(i / plane);
    const code = codes?.[i] ?? 0;
    if (code !== 0) return noiseValue(code);
    const byte = picture.data[(i % plane) * 3 + channel] ?? 0;
    return (byte / 255 - (mean[channel] ?? 0)) / (std[channel] ?? 1);
  });
}

/** As the program mixes two inputs of a batch. */
export function mixInputs(
  [own, other]: readonly [Float32Array, Float32Array],
  { lambda, box }: Mix,
  { width, height }: { width: number; height: number },
): Float32Array {
  const plane = width * height;
  return own.map((value, i) => {
    const y = Math.floor((i % plane) / width);
    const x = i % width;
    const inside =
      box !== undefined &&
      y >= box.top &&
      y < box.top + box.height &&
      x >= box.left &&
      x < box.left + box.width;
    const weight = box === undefined ? lambda : inside ? 0 : 1;
    return weight * value + (1 - weight) * (other[i] ?? 0);
  });
}

/** Back to bytes that can be looked at; noise beyond black and white is cut off. */
function seen(
  input: Float32Array,
  { width, height }: { width: number; height: number },
  { mean, std }: Normalisation,
): Picture {
  const plane = width * height;
  const data = Uint8Array.from({ length: 3 * plane }, (_, i) => {
    const channel = i % 3;
    const value = input[channel * plane + Math.floor(i / 3)] ?? 0;
    return Math.min(Math.max(Math.round(255 * (value * (std[channel] ?? 1) + (mean[channel] ?? 0))), 0), 255);
  });
  return { width, height, data };
}

/** Targets of a step without smoothing, [B, K]. */
function targetsOf(
  samples: readonly PlannedSample[],
  { dataset, mixes }: { dataset: Dataset; mixes: readonly Mix[] | undefined },
): Float32Array {
  const numClasses = dataset.classes.length;
  const labels = samples.map(({ index }) => dataset.labels[index] ?? -1);
  const targets = smoothTargets(labels, numClasses, 0);
  return mixes ? mixTargets(targets, mixes, numClasses) : targets;
}

function parts(target: Float32Array | undefined, { classes }: Dataset, label: number): PreviewRow["target"] {
  if (target === undefined) return [{ label: classes[label] ?? "", weight: 1 }];
  return classes
    .map((name, index) => ({ label: name, weight: target[index] ?? 0 }))
    .filter(({ weight }) => weight > 0)
    .toSorted((a, b) => b.weight - a.weight);
}
