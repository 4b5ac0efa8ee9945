/**
 * Why hard labels (§4 and §5.2): a training crop may show another class than the image's label says, and a mixed
 * image shows two. How often does a teacher's decision change under the very augmentation that students see?
 */
import { DataError, openClassifier } from "deit-ts";
import type { Classifier, OpenClassifierOptions } from "deit-ts";
import { createTransform, drawMixes, mixImages, openEvaluation, writePlanar } from "deit-ts/data";
import type { EvaluationDataOptions, RgbImage, TrainTransformOptions, Transform } from "deit-ts/data";
import { createRandom } from "deit-ts/graph";
import { answerOf, mainLogits } from "deit-ts/models";
import { firstLine } from "deit-ts/studies";
import type { EvaluateHooks } from "deit-ts/studies";

export interface LabelStabilityOptions
  extends EvaluationDataOptions, Omit<OpenClassifierOptions, "classes" | "intermediates"> {
  /** The teacher. */
  readonly checkpoint: string;
  /** Views of every image and kind; default 10. */
  readonly views?: number;
  /** That many images, drawn by the seed; default all. */
  readonly images?: number | undefined;
  /** Area of a crop as part of the image; default DeiT's 0.08…1. */
  readonly scale?: readonly [number, number];
}

/** One way of looking at images. All rates 0 to 1. */
export interface ViewStability {
  readonly view: "whole image" | "training crop" | "crop and RandAugment";
  /** Views on which the teacher decides otherwise than on the whole image. */
  readonly changed: number;
  /** Views on which it decides against the true label. */
  readonly wrong: number;
  /** Images of which at least one view is decided otherwise. */
  readonly imagesChanged: number;
}

/** What the teacher sees in two mixed images of unlike labels, rates of all such mixes. */
export interface MixStability {
  readonly mix: "Mixup" | "CutMix";
  /** The label with the larger part in the target. */
  readonly larger: number;
  readonly smaller: number;
  /** A label of neither image. */
  readonly neither: number;
}

export interface LabelStability {
  readonly model: string;
  /** Those that could be read. */
  readonly images: number;
  readonly views: readonly ViewStability[];
  readonly mixes: readonly MixStability[];
}

const AUGMENTED = "rand-m9-mstd0.5-inc1";
/** Alone, as DeiT has both. */
const MIXES = [
  { mix: "Mixup", mixup: 0.8, cutmix: 0 },
  { mix: "CutMix", mixup: 0, cutmix: 1 },
] as const;

/** Measures a teacher on real images. @throws what `openClassifier` and `openEvaluation` throw */
export async function measureLabelStability(
  options: LabelStabilityOptions,
  { onEvent, signal }: EvaluateHooks = {},
): Promise<LabelStability> {
  const { checkpoint, views = 10, scale = [0.08, 1], seed = 0, classes, ...rest } = options;
  await using teacher = await openClassifier(checkpoint, rest);
  for (const message of teacher.notes) onEvent?.({ type: "warning", message });
  const dataset = await openEvaluation(
    { ...options, classes: classes ?? teacher.classes },
    { onNote: (message) => onEvent?.({ type: "warning", message }) },
  );
  const count = Math.min(options.images ?? dataset.length, dataset.length);
  const { inputSize: size } = teacher;
  const crop: TrainTransformOptions = { mode: "train", size, crop: { kind: "resized", scale: [...scale] } };
  const whole = createTransform(teacher.transform);
  const kinds = [
    { view: "training crop", transform: createTransform(crop) },
    { view: "crop and RandAugment", transform: createTransform({ ...crop, augment: AUGMENTED }) },
  ] as const;
  const tallies = kinds.map(() => ({ changed: 0, wrong: 0, imagesChanged: 0 }));
  const mixed = MIXES.map(() => ({ larger: 0, smaller: 0, neither: 0 }));
  let [seen, wrong] = [0, 0];
  let before: { readonly crops: readonly RgbImage[]; readonly label: number } | undefined;
  const order = createRandom(seed, "order").permutation(dataset.length).subarray(0, count);
  for (const [done, index] of order.entries()) {
    signal?.throwIfAborted();
    const image = await dataset.read(index).catch((error: unknown) => {
      if (!(error instanceof DataError)) throw error;
      onEvent?.({ type: "warning", message: firstLine(error) });
      return undefined;
    });
    onEvent?.({ type: "evaluate", done: done + 1, total: count });
    if (image === undefined) continue;
    seen++;
    const label = dataset.labels[index] ?? -1;
    const crops = kinds.map(({ view: name, transform }) =>
      Array.from({ length: views }, (_, i) => view(transform, image, createRandom(seed, name, index, i))),
    );
    const partner = before?.label === label ? undefined : before;
    const own = { crops: crops[0] ?? [], label };
    const mixes = partner === undefined ? [] : mixtures(own.crops, partner.crops, { seed, index, size });
    const [decided = -1, ...answers] = await decisions(teacher, [
      view(whole, image, createRandom(seed, "whole", index)),
      ...crops.flat(),
      ...mixes.map(({ image }) => image),
    ]);
    if (decided !== label) wrong++;
    for (const [k, tally] of tallies.entries()) {
      const found = answers.slice(k * views, (k + 1) * views);
      const changed = found.filter((answer) => answer !== decided).length;
      tally.changed += changed;
      tally.wrong += found.filter((answer) => answer !== label).length;
      if (changed > 0) tally.imagesChanged++;
    }
    for (const [i, { kind, ownIsLarger }] of mixes.entries()) {
      const [larger, smaller] = ownIsLarger ? [label, partner?.label] : [partner?.label, label];
      const found = answers[kinds.length * views + i];
      const tally = mixed[kind];
      if (tally !== undefined)
        tally[found === larger ? "larger" : found === smaller ? "smaller" : "neither"]++;
    }
    before = own;
  }
  if (seen === 0)
    throw new DataError(dataset.name, `no image of ${dataset.name} can be read`, { code: "data/no-images" });
  return {
    model: teacher.name,
    images: seen,
    views: [
      { view: "whole image", changed: 0, wrong: wrong / seen, imagesChanged: 0 },
      ...tallies.map((tally, k) => ({
        view: kinds[k]?.view ?? "training crop",
        changed: tally.changed / (seen * views),
        wrong: tally.wrong / (seen * views),
        imagesChanged: tally.imagesChanged / seen,
      })),
    ],
    mixes: mixed.map(({ larger, smaller, neither }, kind) => {
      const total = larger + smaller + neither;
      return {
        mix: MIXES[kind]?.mix ?? "Mixup",
        larger: larger / total,
        smaller: smaller / total,
        neither: neither / total,
      };
    }),
  };
}

/** The crops of two images mixed one by one, by each of `MIXES`. */
function mixtures(
  own: readonly RgbImage[],
  partner: readonly RgbImage[],
  { seed, index, size }: { seed: number; index: number; size: readonly [number, number] },
): { readonly image: RgbImage; readonly kind: number; readonly ownIsLarger: boolean }[] {
  return MIXES.flatMap(({ mix: name, ...alphas }, kind) => {
    const rule = { ...alphas, cutmixMinmax: null, prob: 1, switchProb: 0.5, mode: "batch" } as const;
    return own.map((crop, i) => {
      const random = createRandom(seed, name, index, i);
      const [mix = { lambda: 1 }] = drawMixes(random, rule, { batchSize: 2, size });
      return { image: mixImages(crop, partner[i] ?? crop, mix), kind, ownIsLarger: mix.lambda >= 0.5 };
    });
  });
}

function view(transform: Transform, image: RgbImage, random: ReturnType<typeof createRandom>): RgbImage {
  return transform.apply(image, transform.draw(random, image.width, image.height));
}

/** The joint classifier's decisions on images of the model's size. */
async function decisions(teacher: Classifier, crops: readonly RgbImage[]): Promise<number[]> {
  const { inputSize, numClasses } = teacher;
  const rowLength = 3 * inputSize[0] * inputSize[1];
  const images = new Uint8Array(crops.length * rowLength);
  for (const [row, image] of crops.entries()) writePlanar(image, images, row * rowLength);
  const logits = await teacher.logits(images);
  return crops.map((_, row) => answerOf(mainLogits(logits, { row, numClasses }), 0).predicted);
}
