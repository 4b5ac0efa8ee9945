/** What `deit analyze agreement --out DIR` writes: tables, heat map, disputed images, and all of it as one page. */
import { writeAnalysis } from "deit-ts/charts";
import type { PageSection } from "deit-ts/charts";
import type { Agreement, Ballot, Contrast } from "./agreement.ts";
import { mostDisputed } from "./agreement.ts";
import { agreementFigure } from "./agreement-figure.ts";
import { describeDisputes, disputedCards } from "./disagreements.ts";

export interface AgreementFilesOptions {
  /** Disputed images that are shown. */
  readonly examples?: number;
  /** What made it, as a user would type it. */
  readonly command?: string | undefined;
}

/** Images shown. */
const EXAMPLES = 24;

/** Writes into a folder, which is made. @returns the names of the files */
export async function writeAgreement(
  folder: string,
  { agreement, ballot }: { agreement: Agreement; ballot: Ballot },
  { examples = EXAMPLES, command }: AgreementFilesOptions = {},
): Promise<string[]> {
  const disputed = describeDisputes(ballot, mostDisputed(ballot, examples));
  const figure = agreementFigure(agreement);
  const sections: PageSection[] = [
    { title: "Disagreement of pairs", figure },
    { title: "The numbers", lead: NUMBERS, table: squareTable(agreement) },
  ];
  const sure = agreement.closer.filter(({ low, high }) => low > 0 || high < 0);
  if (sure.length > 0)
    sections.push({ title: "Who is closer to whom", lead: CLOSER, table: closerTable(sure) });
  if (disputed.length > 0)
    sections.push({
      title: "Where they disagree most",
      lead: "The label in bold, then the prediction of each: blue is correct, orange wrong. Images with the most different predictions come first; among these, those on which the models are surest.",
      body: await disputedCards(ballot, disputed),
    });
  return writeAnalysis(folder, {
    files: {
      "agreement.json": { ...agreement, disputed },
      "agreement.csv": pairRows(agreement),
      "answers.csv": answerRows(ballot),
    },
    figures: { agreement: figure },
    page: {
      title: "Agreement of classifiers",
      kind: `${agreement.images.toLocaleString("en-US")} images of ${agreement.dataset}`,
      lead: "The share of images on which two classifiers disagree, as in Table 4 of the paper. The labels are one of them: their row holds the error rates.",
      sections,
    },
    command,
  });
}

const NUMBERS =
  "Percent of the images, with the 95 % interval (bootstrap over images, the same resamples for every pair).";
const CLOSER =
  "Differences of two rates on the same images whose 95 % interval leaves out 0, in points of percent. Many comparisons are made here: some of them will be chance.";

const percent = (rate: number, digits = 2): string => (100 * rate).toFixed(digits);

function squareTable({ models, disagreement, interval }: Agreement): NonNullable<PageSection["table"]> {
  return {
    head: ["", ...models],
    rows: models.map((name, r) => [
      name,
      ...models.map((_, c) =>
        r === c
          ? "–"
          : `${percent(disagreement[r]?.[c] ?? 0)} (${percent(interval.low[r]?.[c] ?? 0, 1)} to ${percent(interval.high[r]?.[c] ?? 0, 1)})`,
      ),
    ]),
    right: models.map((_, i) => i + 1),
  };
}

/** The nearer one first. */
function closerTable(sure: readonly Contrast[]): NonNullable<PageSection["table"]> {
  return {
    head: ["is closer", "to", "than", "by points", "95 % interval"],
    rows: sure.map(({ to, a, b, difference, low, high }) => {
      const [near, far] = difference < 0 ? [a, b] : [b, a];
      const [least, most] = difference < 0 ? [-high, -low] : [low, high];
      return [near, to, far, percent(Math.abs(difference)), `${percent(least)} to ${percent(most)}`];
    }),
    right: [3, 4],
  };
}

/** The whole square, a line for each cell. */
function pairRows({ models, disagreement, interval }: Agreement): (string | number)[][] {
  const rows = models.flatMap((a, r) =>
    models.map((b, c) => [
      a,
      b,
      disagreement[r]?.[c] ?? 0,
      interval.low[r]?.[c] ?? 0,
      interval.high[r]?.[c] ?? 0,
    ]),
  );
  return [["a", "b", "disagreement", "low", "high"], ...rows];
}

/** A line for each image: everyone's answer, by name. */
function answerRows({ respondents, answers, images, dataset, classes }: Ballot): string[][] {
  const rows = Array.from(images, (index, entry) => [
    dataset.describe(index),
    ...answers.map((row) => classes[row[entry] ?? -1] ?? ""),
  ]);
  return [["image", ...respondents.map(({ name }) => name)], ...rows];
}
