/**
 * The head that a project's images teach: for each token of the model a linear classifier on its features, joined as DeiT
 * joins its heads, by the mean of their logits. Judged on held-out images. "None of these": features far from all images.
 */
import { choosePenalty, fitLinearHead, softmax } from "deit-ts/web";
import type { LinearHead, TokenName } from "deit-ts/web";

export interface Taught {
  readonly id: string;
  /** Index of its class. */
  readonly label: number;
  /** Not learnt from: judged on. */
  readonly held: boolean;
}

export interface HeadOptions {
  readonly tokens: readonly TokenName[];
  readonly numClasses: number;
  /** Features by image, each [tokens · D]. */
  readonly features: ReadonlyMap<string, Float32Array>;
  readonly images: readonly Taught[];
}

/** Answers to one image: probabilities [K] by head, and how far it is from all images that were learnt from. */
export interface HeadAnswer {
  /** Joint logits [K]. */
  readonly logits: Float32Array;
  readonly heads: Readonly<Record<string, Float64Array>>;
  /** 1 − cosine to the nearest image: 0 is the same. */
  readonly distance: number;
  readonly nearest: string | undefined;
}

export interface Head {
  readonly heads: Readonly<Record<string, LinearHead>>;
  /** Distance beyond which an image is called none of the classes. */
  readonly threshold: number;
  /** How strong weights are held down. */
  readonly l2: number;
  /** Images that the penalty was chosen for. */
  readonly chosenFor: number;
  answer(features: Float32Array): HeadAnswer;
}

/** Part of the learnt images that are nearer to another one than the threshold. */
const NEAR_SHARE = 0.98;
/** The penalty is chosen again when images have changed by this part. */
const RECHOOSE = 0.25;
const FEW = 12;

/** Fits the heads; `before`: those of almost the same images, where the fit starts from. @throws RangeError for fewer than two classes with images */
export function teachHead({ tokens, numClasses, features, images }: HeadOptions, before?: Head): Head {
  const learnt = images.filter(({ id, held }) => !held && features.has(id));
  const all = learnt.map(({ id }) => features.get(id) ?? new Float32Array());
  const width = (all[0]?.length ?? 0) / tokens.length;
  const labels = Int32Array.from(learnt, ({ label }) => label);
  const rowsOf = (token: number): { data: Float32Array; width: number; labels: Int32Array } => {
    const data = new Float32Array(all.length * width);
    all.forEach((row, i) => data.set(row.subarray(token * width, (token + 1) * width), i * width));
    return { data, width, labels };
  };
  const isLike =
    before !== undefined &&
    before.heads["class"]?.bias.length === numClasses &&
    Math.abs(learnt.length - before.chosenFor) <= RECHOOSE * before.chosenFor;
  const l2 = isLike ? before.l2 : learnt.length < FEW ? 1e-2 : choosePenalty(rowsOf(0), { numClasses });
  const heads = Object.fromEntries(
    tokens.map((token, i) => {
      const start = isLike ? before.heads[token]?.solution : undefined;
      return [token, fitLinearHead(rowsOf(i), { numClasses, l2, start })] as const;
    }),
  );
  const unit = all.map(normalised);
  const nearest = (query: Float32Array, but = -1): { distance: number; at: number } => {
    let [best, at] = [-1, -1];
    for (const [i, row] of unit.entries()) {
      if (i === but) continue;
      const cosine = dot(row, query);
      if (cosine > best) [best, at] = [cosine, i];
    }
    return { distance: 1 - best, at };
  };
  const apart = unit.map((row, i) => nearest(row, i).distance).sort((a, b) => a - b);
  const threshold = 1.1 * (apart[Math.min(apart.length - 1, Math.floor(NEAR_SHARE * apart.length))] ?? 1);
  return {
    heads,
    threshold,
    l2,
    chosenFor: isLike ? before.chosenFor : learnt.length,
    answer(own) {
      const { distance, at } = nearest(normalised(own));
      const logits = tokens.map((token, i) =>
        logitsOf(heads[token], own.subarray(i * width, (i + 1) * width)),
      );
      const joint = (logits[0] ?? new Float32Array()).map(
        (_, k) => logits.reduce((sum, each) => sum + (each[k] ?? 0), 0) / logits.length,
      );
      const each = tokens.map((token, i) => [token, softmax(logits[i] ?? joint)] as const);
      return {
        logits: joint,
        heads: { ...Object.fromEntries(each), joint: softmax(joint) },
        distance,
        nearest: learnt[at]?.id,
      };
    },
  };
}

function logitsOf(head: LinearHead | undefined, features: Float32Array): Float32Array {
  const { weight, bias } = head ?? { weight: new Float32Array(), bias: new Float32Array() };
  return bias.map(
    (b, k) => b + dot(weight.subarray(k * features.length, (k + 1) * features.length), features),
  );
}

function normalised(row: Float32Array): Float32Array {
  const norm = Math.sqrt(dot(row, row)) || 1;
  return row.map((value) => value / norm);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
