/**
 * What the model sees of a training step, and how it came about: for some of the step's images every stage from the
 * file to the mixed image, with its target. The draws are those of training, so a preview shows what a run trains on.
 */
import { noiseValue } from "../augmentation/erasing.ts";
import type { Mix } from "../augmentation/mixup.ts";
import { mixTargets } from "../augmentation/mixup.ts";
import type { Normalisation } from "../augmentation/normalisation.ts";
import { applyOperation, describeOperation } from "../augmentation/operation.ts";
import type { Draw } from "../augmentation/operation.ts";
import type { RgbImage } from "../augmentation/rgb-image.ts";
import { readPlanar } from "../augmentation/rgb-image.ts";
import { createTransform } from "../augmentation/transform.ts";
import type { Transform } from "../augmentation/transform.ts";
import { makeBatch } from "../data/loading/batch.ts";
import type { Dataset } from "../data/dataset.ts";
import type { PlannedSample } from "../data/loading/epoch-plan.ts";
import { planBatches, sampleRandom } from "../data/loading/epoch-plan.ts";
import { ConfigError } from "../errors.ts";
import { mixesOf } from "../training/loop/step-feeds.ts";
import type { ImagePlan } from "../training/plan.ts";
import { binarise, smoothTargets } from "../training/loop/step-feeds.ts";

/** An image on its way to the model. */
export interface Stage {
  readonly label: string;
  readonly image: RgbImage;
}

/** One row of a batch. */
export interface PreviewRow {
  /** With epoch and seed it names every draw of the sample. */
  readonly sample: PlannedSample;
  readonly file: string;
  readonly label: string;
  readonly draw: Draw;
  /** From the file to what the model sees, which is always the last. */
  readonly stages: readonly Stage[];
  /** Absent where nothing is mixed. */
  readonly mix?: Mix;
  /** What it is mixed with; absent where nothing is. */
  readonly partner?: PlannedSample;
  /** Classes with a part in the target as the program gets it, but for smoothing; the largest first. */
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

/** The parts of a plan that decide what the model sees of an image, and its target. */
export type PreviewPlan = Pick<ImagePlan, "batches" | "images" | "normalisation" | "targets">;

/** [height, width] of the model's input. */
type Size = readonly [number, number];

/** The first rows of a training step. @throws ConfigError, DataError as training would */
export async function previewBatch(
  plan: PreviewPlan,
  { dataset, size }: { dataset: Dataset; size: Size },
  { epoch = 0, step = 0, rows = 8, sample }: PreviewOptions = {},
): Promise<PreviewRow[]> {
  const { batches, images } = plan;
  const transform = createTransform({ ...images.transform, size });
  const context = { plan, dataset, transform, epoch };
  if (sample !== undefined) {
    checkSample(sample, { copies: batches.repeats, dataset });
    return [rowOf(context, await prepare(context, sample))];
  }
  const { steps, at } = planBatches(batches, dataset.length);
  if (step >= steps)
    throw new ConfigError("step", `there is no step ${step}: an epoch has ${steps}, from 0 on`, {
      code: "options/out-of-range",
    });
  const samples = at(epoch, step);
  const mixes = mixesOf(plan, { epoch, step, size });
  return Promise.all(
    samples.slice(0, rows).map(async (own, row) => {
      const partner = samples[samples.length - 1 - row];
      const mix = mixes?.[row];
      const prepared = await prepare(context, own);
      const other = mix && partner && (await prepare(context, partner));
      return rowOf(context, prepared, { mix, other });
    }),
  );
}

/** @throws ConfigError for a sample that training never makes */
function checkSample(
  { index, copy }: PlannedSample,
  { copies, dataset }: { copies: number; dataset: Dataset },
): void {
  if (index >= dataset.length)
    throw new ConfigError(
      "sample",
      `there is no image ${index}: the dataset has ${dataset.length}, from 0 on`,
      { code: "options/out-of-range" },
    );
  if (copy >= copies)
    throw new ConfigError(
      "sample",
      `there is no copy ${copy}: an image has ${copies} ${copies === 1 ? "copy" : "copies"} in an epoch, from 0 on`,
      { code: "options/out-of-range" },
    );
}

interface Context {
  readonly plan: PreviewPlan;
  readonly dataset: Dataset;
  readonly transform: Transform;
  readonly epoch: number;
}

interface Prepared {
  readonly sample: PlannedSample;
  /** The image that was read: another than the sample's where that is unreadable and training replaces it. */
  readonly index: number;
  readonly draw: Draw;
  readonly original: RgbImage;
  /** The end of the transform. */
  readonly image: RgbImage;
  /** Noise codes of erased pixels, planar. */
  readonly codes: Uint8Array | undefined;
}

/** The end is the loader's own; the draw says how it came about. */
async function prepare(
  { plan, dataset, transform, epoch }: Context,
  sample: PlannedSample,
): Promise<Prepared> {
  const { seed } = plan.batches;
  const job = { epoch, seed, mode: "train", samples: [sample], rows: 1 } as const;
  const { images, erasing: codes, samples } = await makeBatch(dataset, transform, job);
  const index = samples[0] ?? sample.index;
  const original = await dataset.read(index);
  const draw = transform.draw(sampleRandom(seed, epoch, sample), original.width, original.height);
  const [height, width] = transform.size;
  return { sample, index, draw, original, image: readPlanar(images, { width, height }), codes };
}

function rowOf(
  { plan, dataset }: Context,
  own: Prepared,
  { mix, other }: { mix?: Mix | undefined; other?: Prepared | undefined } = {},
): PreviewRow {
  const { sample, index, draw, original } = own;
  const { normalisation, targets } = plan;
  const size = `${original.width}×${original.height}`;
  const label = index === sample.index ? size : `${size}, for broken ${sample.index}`;
  const stages: Stage[] = [{ label, image: original }];
  let image = original;
  for (const operation of draw) {
    image = applyOperation(image, operation);
    const shown =
      operation.op === "erase" ? seen(modelInput(own, normalisation), image, normalisation) : image;
    stages.push({ label: describeOperation(operation), image: shown });
  }
  const mixed = mix !== undefined && other !== undefined && mix.lambda < 1 ? { mix, other } : undefined;
  const ownInput = modelInput(own, normalisation);
  const input = mixed
    ? mixInputs([ownInput, modelInput(mixed.other, normalisation)], mixed.mix, own.image)
    : ownInput;
  stages.push({ label: describeMix(mixed?.mix), image: seen(input, own.image, normalisation) });
  return {
    sample,
    file: dataset.describe(index),
    label: nameOf(dataset, index),
    draw,
    stages,
    ...(mixed && { mix: mixed.mix, partner: mixed.other.sample }),
    target: targetOf([own, mixed?.other ?? own], {
      mix: mixed?.mix ?? { lambda: 1 },
      binary: targets.binary,
      dataset,
    }),
  };
}

function describeMix(mix: Mix | undefined): string {
  if (mix === undefined) return "not mixed";
  return mix.box ? `CutMix ${mix.box.width}×${mix.box.height}` : `Mixup ${mix.lambda.toFixed(2)}`;
}

/** Normalised and erased, planar [3, H, W]: what the program makes of bytes and codes (training/loop/pixels.ts). */
export function modelInput(
  { image, codes }: { image: RgbImage; codes?: Uint8Array | undefined },
  { mean, std }: Normalisation,
): Float32Array {
  const plane = image.width * image.height;
  return Float32Array.from({ length: 3 * plane }, (_, i) => {
    const channel = Math.floor(i / plane);
    const code = codes?.[i] ?? 0;
    if (code !== 0) return noiseValue(code);
    const byte = image.data[(i % plane) * 3 + channel] ?? 0;
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
): RgbImage {
  const plane = width * height;
  const data = Uint8Array.from({ length: 3 * plane }, (_, i) => {
    const channel = i % 3;
    const value = input[channel * plane + Math.floor(i / 3)] ?? 0;
    return Math.min(Math.max(Math.round(255 * (value * (std[channel] ?? 1) + (mean[channel] ?? 0))), 0), 255);
  });
  return { width, height, data };
}

/** The target of an image that is mixed with another, as the program gets it but without smoothing. */
function targetOf(
  pair: readonly [own: Prepared, other: Prepared],
  { mix, binary, dataset }: { mix: Mix; binary: boolean; dataset: Dataset },
): PreviewRow["target"] {
  const { classes, labels } = dataset;
  const pairLabels = pair.map(({ index }) => labels[index] ?? -1);
  const both = mixTargets(smoothTargets(pairLabels, classes.length, 0), [mix, mix], classes.length);
  const mixed = both.subarray(0, classes.length);
  const target = binary ? binarise(mixed) : mixed;
  return classes
    .map((label, index) => ({ label, weight: target[index] ?? 0 }))
    .filter(({ weight }) => weight > 0)
    .toSorted((a, b) => b.weight - a.weight);
}

function nameOf({ classes, labels }: Dataset, index: number): string {
  const label = labels[index] ?? -1;
  return classes[label] ?? String(label);
}
