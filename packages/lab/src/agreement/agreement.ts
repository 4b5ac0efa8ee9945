/**
 * How often classifiers disagree (Table 4): the share of images to which two of them give different answers. A
 * distilled model is three of them, class head, distillation head and both; the labels are one, too, so that its row
 * holds the error rates.
 */
import { ConfigError } from "deit-ts";
import type { Dataset } from "deit-ts";
import {
  AnswerSheet,
  HEADS,
  LEVEL,
  RESAMPLES,
  askEach,
  differenceInterval,
  intervalOf,
  openComparison,
  resampleShares,
} from "deit-ts/studies";
import type {
  AskedModel,
  BootstrapOptions,
  ComparisonOptions,
  EvaluateHooks,
  HeadName,
  Interval,
} from "deit-ts/studies";

export type AgreementOptions = ComparisonOptions;

/** One that answers: the labels, a model, or a head of one. */
export interface Respondent {
  readonly name: string;
  /** Of the labels both are undefined. */
  readonly checkpoint?: string;
  readonly head?: HeadName;
}

/** Answers of everyone to the same n images. */
export interface Ballot {
  /** The labels first. */
  readonly respondents: readonly Respondent[];
  /** Class indices [respondents][n]; -1 where a model answered NaN. */
  readonly answers: readonly Int32Array[];
  /** Probability of the answer, [respondents][n]; 1 for the labels. */
  readonly confidence: readonly Float64Array[];
  /** Indices of the images in the dataset, [n]. */
  readonly images: Uint32Array;
  readonly dataset: Dataset;
  readonly classes: readonly string[];
}

/** Whether `a` or `b` is closer to `to`: rate(a, to) − rate(b, to), on the same images. */
export interface Contrast extends Interval {
  readonly to: string;
  readonly a: string;
  readonly b: string;
  readonly difference: number;
}

/** What `deit analyze agreement --json` prints. Other tools read it: add keys, never rename these. */
export interface Agreement {
  /** "ground truth" first. */
  readonly models: readonly string[];
  /** Square, 0 to 1: the share of images with different answers. */
  readonly disagreement: readonly (readonly number[])[];
  readonly images: number;
  readonly dataset: string;
  readonly respondents: readonly Respondent[];
  /** Bootstrap over images, the same resamples for every pair. */
  readonly interval: {
    readonly level: number;
    readonly resamples: number;
    readonly low: readonly (readonly number[])[];
    readonly high: readonly (readonly number[])[];
  };
  /** For each respondent, every two others: which is closer to it. */
  readonly closer: readonly Contrast[];
}

const GROUND_TRUTH = "ground truth";

/** Asks the classifiers, one after another, about the same images. */
export async function castBallot(options: AgreementOptions, hooks: EvaluateHooks = {}): Promise<Ballot> {
  const comparison = await openComparison(options, hooks);
  const { dataset, numClasses, classes } = comparison;
  const respondents: Respondent[] = [{ name: GROUND_TRUTH }];
  const answers: Int32Array[] = [];
  const confidence: Float64Array[] = [];
  let images: Uint32Array | undefined;
  const ask = async ({ name, checkpoint, answers: batches }: AskedModel): Promise<void> => {
    const sheet = new AnswerSheet({ numClasses, capacity: dataset.length, joint: options.joint });
    for await (const batch of batches) sheet.add(batch);
    const { heads, ...found } = sheet.result();
    if (images === undefined) {
      images = found.images;
      answers.push(found.labels);
      confidence.push(new Float64Array(found.labels.length).fill(1));
    }
    // what cannot be read cannot be read by anyone, so that entry i is everyone's same image
    if (!sameNumbers(images, found.images)) throw new Error(`${name} saw other images than those before it`);
    for (const head of HEADS) {
      const own = heads[head];
      if (own === undefined) continue;
      const only = heads.joint === undefined;
      respondents.push({ name: only ? name : `${name} ${head}`, checkpoint, head });
      answers.push(own.predicted);
      confidence.push(own.confidence);
    }
  };
  await askEach(comparison, options, ask, hooks);
  return { respondents, answers, confidence, images: images ?? new Uint32Array(), dataset, classes };
}

function sameNumbers(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** Counts a ballot. */
export function countAgreement(
  { respondents, answers, images, dataset }: Ballot,
  { resamples = RESAMPLES, seed = 0 }: BootstrapOptions = {},
): Agreement {
  const n = images.length;
  if (n === 0)
    throw new ConfigError("dataPath", "there is no image that could be read", { code: "data/no-images" });
  const size = respondents.length;
  const pairs: { readonly a: number; readonly b: number }[] = [];
  for (let a = 0; a < size; a++) for (let b = a + 1; b < size; b++) pairs.push({ a, b });
  const different = pairs.map(({ a, b }) => differing(answers[a], answers[b]));
  const shares = resampleShares(different, n, { resamples, seed });
  const square = (value: (pair: number) => number): number[][] => {
    const rows = respondents.map(() => respondents.map(() => 0));
    for (const [pair, { a, b }] of pairs.entries())
      for (const [row, column] of [
        [a, b],
        [b, a],
      ] as const) {
        const cells = rows[row];
        if (cells !== undefined) cells[column] = value(pair);
      }
    return rows;
  };
  const intervals = shares.map((values) => intervalOf(values));
  const names = respondents.map(({ name }) => name);
  const pairOf = (a: number, b: number): number =>
    pairs.findIndex((pair) => pair.a === Math.min(a, b) && pair.b === Math.max(a, b));
  const closer: Contrast[] = [];
  for (const [to, toName] of names.entries()) {
    for (const { a, b } of pairs) {
      if (a === to || b === to) continue;
      const [first, second] = [pairOf(a, to), pairOf(b, to)];
      const difference = ((different[first]?.length ?? 0) - (different[second]?.length ?? 0)) / n;
      const interval = differenceInterval(shares[first] ?? EMPTY, shares[second] ?? EMPTY);
      closer.push({ to: toName, a: names[a] ?? "", b: names[b] ?? "", difference, ...interval });
    }
  }
  return {
    models: names,
    disagreement: square((pair) => (different[pair]?.length ?? 0) / n),
    images: n,
    dataset: dataset.name,
    respondents,
    interval: {
      level: LEVEL,
      resamples,
      low: square((pair) => intervals[pair]?.low ?? Number.NaN),
      high: square((pair) => intervals[pair]?.high ?? Number.NaN),
    },
    closer,
  };
}

const EMPTY = new Float64Array();

/** What `deit analyze agreement` does. */
export async function measureAgreement(
  options: AgreementOptions,
  hooks: EvaluateHooks = {},
): Promise<{ readonly agreement: Agreement; readonly ballot: Ballot }> {
  const ballot = await castBallot(options, hooks);
  const { resamples, seed } = options;
  return { ballot, agreement: countAgreement(ballot, { resamples, seed }) };
}

/** Places at which two answers differ. */
function differing(a: Int32Array = new Int32Array(), b: Int32Array = new Int32Array()): Uint32Array {
  const found: number[] = [];
  for (const [i, answer] of a.entries()) if (answer !== b[i] || answer < 0) found.push(i);
  return Uint32Array.from(found);
}

/** An image on which opinions differ. */
export interface Dispute {
  /** Entry of the ballot's arrays. */
  readonly entry: number;
  /** Part of the pairs of models that disagree, 0 to 1. */
  readonly discord: number;
  /** Mean confidence of the answers, 0 to 1. */
  readonly confidence: number;
}

/** The images on which the models disagree most, the labels aside; of equals those where they are surest. */
export function mostDisputed({ answers, confidence, images }: Ballot, limit: number): Dispute[] {
  const models = answers.slice(1);
  const sureness = confidence.slice(1);
  const pairs = (models.length * (models.length - 1)) / 2;
  const disputes = Array.from(images, (_, entry) => {
    const votes = models.map((row) => row[entry] ?? -1);
    let different = 0;
    for (const [a, vote] of votes.entries())
      for (const other of votes.slice(a + 1)) if (vote !== other) different++;
    const sum = sureness.reduce((total, row) => total + (row[entry] ?? 0), 0);
    return { entry, discord: pairs === 0 ? 0 : different / pairs, confidence: sum / models.length };
  });
  return disputes
    .filter(({ discord }) => discord > 0)
    .sort((a, b) => b.discord - a.discord || b.confidence - a.confidence || a.entry - b.entry)
    .slice(0, limit);
}
