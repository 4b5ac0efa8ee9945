/**
 * The paper's Table 4 on the models of Table 3: who answers like whom, and whether the three orderings of the paper hold. The
 * plain and the distilled students are trained first, each seed's with the same images; then all are asked about the 10,000
 * test images.
 *
 *   deit analyze ablation --table table3-cifar10 --row token --row none --teacher-path TEACHER --seeds 3,4,5 --out RUNS
 *   npx node --conditions=deit-source packages/lab/studies/table4.ts --teacher TEACHER --runs RUNS/runs --seeds 3,4,5     into results/table4-cifar10*.csv and docs/figures
 *
 * table4-cifar10.csv is the whole square by seed, with bootstrap intervals over the images, and its mean over seeds with a
 * t-interval; table4-cifar10-orderings.csv the differences of two rates, paired by image and then by seed.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { halfInterval, meanOf } from "../src/ablation/statistics.ts";
import type { Agreement } from "../src/agreement/agreement.ts";
import { measureAgreement } from "../src/agreement/agreement.ts";
import { agreementFigure } from "../src/agreement/agreement-figure.ts";
import { chartFile } from "deit-ts/charts";

const { values } = parseArgs({
  options: {
    teacher: { type: "string" },
    runs: { type: "string" },
    seeds: { type: "string", default: "3,4,5" },
    epochs: { type: "string", default: "40" },
    results: { type: "string", default: "results" },
    figures: { type: "string", default: "docs/figures" },
  },
});
const { teacher, runs, results, figures } = values;
if (teacher === undefined || runs === undefined) {
  console.error("--teacher FILE, trained on CIFAR-10, and --runs FOLDER, where the students are");
  process.exit(2);
}
const seeds = values.seeds.split(",");

const CONVNET = "ResNet-56";
const [PLAIN, CLASS, TOKEN, JOINT] = ["DeiT", "DeiT⚗ class", "DeiT⚗ distillation", "DeiT⚗ joint"] as const;

/** The paper's orderings, as differences that they want above 0: how much further from the convnet `far` is than `near`. */
const ORDERINGS = [
  { statement: "the distilled student is closer to the convnet than the plain one", near: JOINT, far: PLAIN },
  { statement: "its distillation head is closer than its class head", near: TOKEN, far: CLASS },
  { statement: "both heads together are closer than the class head", near: JOINT, far: CLASS },
  { statement: "both heads together are further than the distillation head", near: TOKEN, far: JOINT },
] as const;

const measured: Agreement[] = [];
for (const seed of seeds) {
  const run = (row: string): string => join(runs, `${row}-${values.epochs}-epochs-seed-${seed}`);
  const checkpoints = [`${CONVNET}=${teacher}`, `${PLAIN}=${run("none")}`, `DeiT⚗=${run("token")}`];
  const { agreement } = await measureAgreement({ checkpoints, dataSet: "cifar10" });
  measured.push(agreement);
  console.error(`seed ${seed}: ${agreement.images} images`);
}
const [first] = measured;
if (first === undefined) throw new Error("no seeds");

const percent = (rate: number): string => (100 * rate).toFixed(2);
/** Mean over seeds with its 95 % interval; of one seed there is none. */
function overSeeds(numbers: readonly number[]): readonly [mean: number, low: number, high: number] {
  const mean = meanOf(numbers);
  const half = halfInterval(numbers) ?? Number.NaN;
  return [mean, mean - half, mean + half];
}

const { models } = first;
const rates = (a: number, b: number): number[] =>
  measured.map(({ disagreement }) => disagreement[a]?.[b] ?? 0);
const square = models.flatMap((a, r) =>
  models.flatMap((b, c) => [
    ...measured.map(({ disagreement, interval: { low, high } }, i) =>
      [seeds[i], a, b, ...[disagreement, low, high].map((of) => percent(of[r]?.[c] ?? 0))].join(),
    ),
    ["mean", a, b, ...overSeeds(rates(r, c)).map(percent)].join(),
  ]),
);
await writeFile(
  join(results, "table4-cifar10.csv"),
  `${["seed,a,b,disagreement,low,high", ...square].join("\n")}\n`,
);

const orderings = ORDERINGS.flatMap(({ statement, near, far }) => {
  const found = measured.map(({ closer }) => {
    const contrast = closer.find(
      ({ to, a, b }) => to === CONVNET && [a, b].includes(near) && [a, b].includes(far),
    );
    if (contrast === undefined) throw new Error(`nobody compared ${near} with ${far}`);
    const { a, difference, low, high } = contrast;
    return a === far ? [difference, low, high] : [-difference, -high, -low];
  });
  return [
    ...found.map((numbers, i) => [seeds[i], statement, ...numbers.map(percent)].join()),
    ["mean", statement, ...overSeeds(found.map(([difference = 0]) => difference)).map(percent)].join(),
  ];
});
await writeFile(
  join(results, "table4-cifar10-orderings.csv"),
  `${["seed,statement,points,low,high", ...orderings].join("\n")}\n`,
);

const mean = (part: 0 | 1 | 2): number[][] =>
  models.map((_, r) => models.map((_, c) => overSeeds(rates(r, c))[part]));
const figure = agreementFigure({
  ...first,
  disagreement: mean(0),
  interval: { ...first.interval, low: mean(1), high: mean(2) },
});
await writeFile(join(figures, "table4-cifar10.svg"), chartFile(figure));
console.error(`${join(results, "table4-cifar10.csv")}: ${seeds.length} seeds`);
