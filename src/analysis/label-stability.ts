/**
 * Why hard labels (§4 and §5.2): a training crop may show another class than the picture's label says, and a mixed
 * picture shows two. How often does a teacher's decision change under the very augmentation that students see?
 */
import { mixPictures, drawMixes } from "../augmentation/mixup.ts";
import type { Picture } from "../augmentation/picture.ts";
import { writePlanar } from "../augmentation/picture.ts";
import type { Transform, TrainTransformOptions } from "../augmentation/transform.ts";
import { createTransform } from "../augmentation/transform.ts";
import type { EvaluationDataOptions } from "../data/open.ts";
import { openEvaluation } from "../data/open.ts";
import type { Classifier, OpenClassifierOptions } from "../evaluation/classifier.ts";
import { openClassifier } from "../evaluation/classifier.ts";
import type { EvaluateHooks } from "../evaluation/logits.ts";
import { answerOf, mainLogits } from "../evaluation/metrics.ts";
import { createRandom } from "../random.ts";

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

/** One way of looking at pictures. All rates 0 to 1. */
export interface ViewStability {
  readonly view: "whole picture" | "training crop" | "crop and RandAugment";
  /** Views on which the teacher decides otherwise than on the whole picture. */
  readonly changed: number;
  /** Views on which it decides against the true label. */
  readonly wrong: number;
  /** Pictures of which at least one view is decided otherwise. */
  readonly pictures: number;
}

/** What the teacher sees in two mixed pictures of unlike labels, rates of all such mixes. */
export interface MixStability {
  readonly mix: "Mixup" | "CutMix";
  /** The label with the larger part in the target. */
  readonly larger: number;
  readonly smaller: number;
  /** A label of neither picture. */
  readonly neither: number;
}

export interface LabelStability {
  readonly model: string;
  readonly images: number;
  readonly views: readonly ViewStability[];
  readonly mixes: readonly MixStability[];
}

const BATCH = 32;

/** Measures a teacher on real pictures. @throws what `openClassifier` and `openEvaluation` throw */
export async function measureLabelStability(
  options: LabelStabilityOptions,
  { onEvent, signal }: EvaluateHooks = {},
): Promise<LabelStability> {
  const { checkpoint, views = 10, scale = [0.08, 1], seed = 0, classes, ...rest } = options;
  await using teacher = await openClassifier(checkpoint, rest);
  const dataset = await openEvaluation(
    { ...options, classes: classes ?? teacher.classes },
    { onNote: (message) => onEvent?.({ type: "warning", message }) },
  );
  const count = Math.min(options.images ?? dataset.length, dataset.length);
  const asked: Question[] = [];
  const answer = async (most: number): Promise<void> => {
    while (asked.length > most) {
      const questions = asked.splice(0, BATCH);
      const pictures = questions.map(({ picture }) => picture);
      const answers = await decisions(teacher, pictures);
      for (const [i, { tally }] of questions.entries()) tally(answers[i] ?? -1);
    }
  };
  const { inputSize: size, transform } = teacher;
  const crop: TrainTransformOptions = { mode: "train", size, crop: { kind: "resized", scale: [...scale] } };
  const kinds = [
    { view: "training crop", transform: createTransform(crop), ...noViews() },
    {
      view: "crop and RandAugment",
      transform: createTransform({ ...crop, augment: "rand-m9-mstd0.5-inc1" }),
      ...noViews(),
    },
  ] as const;
  const whole = createTransform(transform);
  const mixing = { Mixup: noMixes(), CutMix: noMixes() };
  let wrong = 0;
  let before: Crops | undefined;
  const order = createRandom(seed, "order").permutation(dataset.length).subarray(0, count);
  for (const [done, index] of order.entries()) {
    signal?.throwIfAborted();
    const picture = await dataset.read(index);
    const label = dataset.labels[index] ?? -1;
    let decided = -1; // set by the first answer, before those of the other views come
    asked.push({
      picture: view(whole, picture, createRandom(seed, "whole", index)),
      tally: (found) => {
        decided = found;
        if (found !== label) wrong++;
      },
    });
    const seen = kinds.map((kind) => {
      let changed = false;
      const crops = Array.from({ length: views }, (_, i) =>
        view(kind.transform, picture, createRandom(seed, kind.view, index, i)),
      );
      const tally = (found: number): void => {
        if (found !== label) kind.counts.wrong++;
        if (found === decided) return;
        kind.counts.changed++;
        if (!changed) kind.counts.pictures++;
        changed = true;
      };
      asked.push(...crops.map((cropped) => ({ picture: cropped, tally })));
      return crops;
    });
    const own = { crops: seen[0] ?? [], label };
    if (before !== undefined && before.label !== label)
      asked.push(...mixtures({ own, partner: before }, { mixing, seed, index, size }));
    before = own;
    await answer(BATCH);
    onEvent?.({ type: "evaluate", done: done + 1, total: count });
  }
  await answer(0);
  return {
    model: teacher.name,
    images: count,
    views: [
      { view: "whole picture", changed: 0, wrong: wrong / count, pictures: 0 },
      ...kinds.map(({ view: name, counts }) => ({
        view: name,
        changed: counts.changed / (count * views),
        wrong: counts.wrong / (count * views),
        pictures: counts.pictures / count,
      })),
    ],
    mixes: (["Mixup", "CutMix"] as const).map((mix) => {
      const { larger, smaller, neither, total } = mixing[mix];
      return { mix, larger: larger / total, smaller: smaller / total, neither: neither / total };
    }),
  };
}

interface MixCounts {
  larger: number;
  smaller: number;
  neither: number;
  total: number;
}

function noMixes(): MixCounts {
  return { larger: 0, smaller: 0, neither: 0, total: 0 };
}

function noViews(): { counts: { changed: number; wrong: number; pictures: number } } {
  return { counts: { changed: 0, wrong: 0, pictures: 0 } };
}

/** A picture to decide on, and what is done with the decision. Decisions come in the order of the questions. */
interface Question {
  readonly picture: Picture;
  readonly tally: (decision: number) => void;
}

interface Crops {
  readonly crops: readonly Picture[];
  readonly label: number;
}

/** The crops of two pictures mixed one by one, with DeiT's Mixup and CutMix. */
function mixtures(
  { own, partner }: { own: Crops; partner: Crops },
  {
    mixing,
    seed,
    index,
    size,
  }: {
    mixing: Record<"Mixup" | "CutMix", MixCounts>;
    seed: number;
    index: number;
    size: readonly [number, number];
  },
): Question[] {
  return (["Mixup", "CutMix"] as const).flatMap((kind) => {
    const alphas = kind === "Mixup" ? { mixup: 0.8, cutmix: 0 } : { mixup: 0, cutmix: 1 };
    const rule = { ...alphas, cutmixMinmax: null, prob: 1, switchProb: 0.5, mode: "batch" } as const;
    return own.crops.map((crop, i) => {
      const [mix = { lambda: 1 }] = drawMixes(createRandom(seed, kind, index, i), rule, {
        batchSize: 2,
        size,
      });
      const [larger, smaller] = mix.lambda >= 0.5 ? [own.label, partner.label] : [partner.label, own.label];
      const counts = mixing[kind];
      return {
        picture: mixPictures(crop, partner.crops[i] ?? crop, mix),
        tally: (found) => {
          counts.total++;
          counts[found === larger ? "larger" : found === smaller ? "smaller" : "neither"]++;
        },
      };
    });
  });
}

function view(transform: Transform, picture: Picture, random: ReturnType<typeof createRandom>): Picture {
  return transform.apply(picture, transform.draw(random, picture.width, picture.height));
}

/** The joint classifier's decisions on images of the model's size. */
async function decisions(teacher: Classifier, pictures: readonly Picture[]): Promise<number[]> {
  const { inputSize, numClasses } = teacher;
  const rowLength = 3 * inputSize[0] * inputSize[1];
  const images = new Uint8Array(pictures.length * rowLength);
  for (const [row, picture] of pictures.entries()) writePlanar(picture, images, row * rowLength);
  const logits = await teacher.logits(images);
  return pictures.map((_, row) => answerOf(mainLogits(logits, { row, numClasses }), 0).predicted);
}
