/**
 * How much of what is wrong `deit data check` finds, with errors and copies that are planted: into results/label-errors.csv
 * and results/near-copies.csv. Protocols and readings are in docs/log.md.
 *
 *   npx node scripts/data-check-study.ts labels --weights CKPT --data-path FLOWERS
 *   npx node scripts/data-check-study.ts copies --weights CKPT --data-path FLOWERS
 */
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { checkData } from "../packages/deit/src/data-check/check.ts";
import type { LabelledFeatures } from "../packages/deit/src/data-check/label-errors.ts";
import { findLabelErrors } from "../packages/deit/src/data-check/label-errors.ts";
import { openDatasets } from "../packages/deit/src/data/open.ts";
import type { Features } from "../packages/deit/src/evaluation/classifier.ts";
import { openClassifier } from "../packages/deit/src/evaluation/classifier.ts";
import type { Random } from "../packages/deit/src/random.ts";
import { createRandom } from "../packages/deit/src/random.ts";
import { csv } from "../packages/deit/src/formats/csv.ts";

const {
  values: { weights, "data-path": dataPath, seeds: seedsGiven, results },
  positionals: [phase = ""],
} = parseArgs({
  allowPositionals: true,
  options: {
    weights: { type: "string" },
    "data-path": { type: "string" },
    seeds: { type: "string" },
    results: { type: "string", default: "results" },
  },
});
if (weights === undefined || dataPath === undefined || !["labels", "copies"].includes(phase)) {
  console.error("labels|copies --weights CKPT --data-path DIR [--seeds 0,1]");
  process.exit(2);
}
const seedsOf = (most: number): number[] =>
  seedsGiven?.split(",").map(Number) ?? Array.from({ length: most }, (_, seed) => seed);
/** Part of the labels that are changed. */
const WRONG = 0.05;
/** Copies that are planted. */
const COPIES = 200;

async function labelStudy(checkpoint: string, folder: string): Promise<void> {
  const { train, validation } = await openDatasets({ dataPath: folder, valSplit: 0 });
  await using classifier = await openClassifier(checkpoint, { intermediates: true });
  const parts: Features[] = [];
  for (const dataset of [train, ...(validation ? [validation] : [])])
    parts.push(await classifier.features(dataset));
  const width = parts[0]?.width ?? 0;
  const truth = Int32Array.from(parts.flatMap(({ labels }) => [...labels]));
  const data = Float32Array.from(parts.flatMap((part) => [...part.data]));
  const all = { data, width, labels: truth, numClasses: train.classes.length };
  const alike = nearestClasses(all);
  const rows: (string | number)[][] = [];
  const head = "errors,seed,images,planted,agreeing,listed,found,recall,precision,recall_at_50,seconds".split(
    ",",
  );
  for (const seed of seedsOf(10)) {
    for (const kind of ["random", "look-alike"] as const) {
      const { labels, changed } = changeLabels(
        all,
        createRandom(seed, "label errors", kind),
        (label, random) =>
          kind === "random"
            ? (label + 1 + random.integer(all.numClasses - 1)) % all.numClasses
            : (alike[label] ?? 0),
      );
      const start = performance.now();
      const { suspects, ranking, agreeing } = await findLabelErrors({ ...all, labels });
      const hits = suspects.filter(({ row }) => changed.has(row)).length;
      rows.push([
        kind,
        seed,
        truth.length,
        changed.size,
        agreeing,
        suspects.length,
        hits,
        ((100 * hits) / changed.size).toFixed(1),
        ((100 * hits) / suspects.length).toFixed(1),
        (
          100 *
          recallAtHalf(
            ranking.map(({ row }) => row),
            changed,
          )
        ).toFixed(1),
        ((performance.now() - start) / 1000).toFixed(1),
      ]);
      console.log(rows.at(-1)?.join(" "));
    }
    await writeFile(join(results, "label-errors.csv"), csv([head, ...rows])); // what is done is kept
  }
}

/** The largest share of `changed` among the first rows of a ranking of which half are changed. */
function recallAtHalf(ranking: readonly number[], changed: ReadonlySet<number>): number {
  let [hits, best] = [0, 0];
  for (const [i, row] of ranking.entries()) {
    if (changed.has(row)) hits++;
    if (2 * hits >= i + 1) best = Math.max(best, hits);
  }
  return best / changed.size;
}

function changeLabels(
  { labels }: LabelledFeatures,
  random: Random,
  other: (label: number, random: Random) => number,
): { labels: Int32Array; changed: ReadonlySet<number> } {
  const rows = [...random.permutation(labels.length)].slice(0, Math.round(WRONG * labels.length));
  const result = Int32Array.from(labels);
  for (const row of rows) result[row] = other(labels[row] ?? 0, random);
  return { labels: result, changed: new Set(rows) };
}

/** The class whose mean of features of length 1 has the largest cosine with that of each class. */
function nearestClasses({ data, width, labels, numClasses }: LabelledFeatures): number[] {
  const means = Array.from({ length: numClasses }, () => new Float64Array(width));
  for (const [row, label] of labels.entries()) {
    const own = data.subarray(row * width, (row + 1) * width);
    const norm = Math.hypot(...own);
    own.forEach((value, i) => {
      const mean = means[label];
      if (mean) mean[i] = (mean[i] ?? 0) + value / norm;
    });
  }
  const cosine = (a: Float64Array, b: Float64Array): number =>
    a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0) / Math.hypot(...a) / Math.hypot(...b);
  return means.map((mean, k) => {
    const others = means.map((other, j) => (j === k ? -Infinity : cosine(mean, other)));
    return others.indexOf(Math.max(...others));
  });
}

async function copyStudy(checkpoint: string, folder: string): Promise<void> {
  const clean = await copiesIn(checkpoint, folder);
  console.log(`unchanged: ${clean.length} copies`, ...clean.map((pair) => [...pair].join(" = ")));
  const own = new Set(clean.map(key));
  const rows: (string | number)[][] = [];
  for (const seed of seedsOf(5)) {
    const planted = await mkdtemp(join(tmpdir(), "copies-"));
    try {
      await cp(folder, planted, { recursive: true });
      const made = await plantCopies(folder, planted, createRandom(seed, "copies"));
      const start = performance.now();
      const found = await copiesIn(checkpoint, planted);
      const seconds = (performance.now() - start) / 1000;
      const keys = new Set(found.map(key));
      const wanted = new Set(made.map(({ pair }) => key(pair)));
      const wrong = found.filter((pair) => !wanted.has(key(pair)) && !own.has(key(pair)));
      for (const kind of [...KINDS, "all"] as const) {
        const some = made.filter((each) => kind === "all" || each.kind === kind);
        const hits = some.filter(({ pair }) => keys.has(key(pair))).length;
        const share = ((100 * hits) / some.length).toFixed(1);
        const last = kind === "all" ? [wrong.length, seconds.toFixed(0)] : ["", ""];
        rows.push([seed, kind, some.length, hits, share, ...last]);
        console.log(rows.at(-1)?.join(" "));
      }
      console.log(...wrong.map((pair) => pair.join(" = ")));
      console.log(
        "missed",
        ...made
          .filter(({ pair }) => !keys.has(key(pair)))
          .map(({ kind, pair }) => `${kind} ${pair.join(" = ")}`),
      );
    } finally {
      await rm(planted, { recursive: true });
    }
  }
  const head = "seed,kind,planted,found,percent,false,seconds".split(",");
  await writeFile(join(results, "near-copies.csv"), csv([head, ...rows]));
}

type NamedPair = readonly [string, string];
const key = (pair: NamedPair): string => pair.toSorted().join(" = ");

/** Each image that the check would have removed, with the one that it keeps. */
async function copiesIn(checkpoint: string, dataPath: string): Promise<NamedPair[]> {
  const { problems } = await checkData({ dataPath, checkpoint });
  return problems.flatMap(({ image, other }) =>
    other === undefined ? [] : [[`${image.part}/${image.name}`, `${other.part}/${other.name}`] as const],
  );
}

const KINDS = ["crop", "scale", "compression", "three"] as const;
type Kind = (typeof KINDS)[number];

async function plantCopies(
  folder: string,
  planted: string,
  random: Random,
): Promise<{ kind: Kind; pair: NamedPair }[]> {
  const { train, validation } = await openDatasets({ dataPath: folder, valSplit: 0 });
  const names = [train, validation].flatMap((dataset, part) =>
    dataset === undefined
      ? []
      : [...dataset.labels.keys()].map(
          (index) => `${part === 0 ? "train" : "val"}/${dataset.describe(index)}`,
        ),
  );
  const chosen = [...random.permutation(names.length)].slice(0, COPIES);
  const made: { kind: Kind; pair: NamedPair }[] = [];
  for (const [i, place] of chosen.entries()) {
    const kind = KINDS[i % KINDS.length] ?? "crop";
    const name = names[place] ?? "";
    const [part = "", ...rest] = name.split("/");
    const other = i % 8 < 4 ? part : part === "train" ? "val" : "train";
    const copy = `${other}/${dirname(rest.join("/"))}/copy-${basename(name)}`;
    await mkdir(dirname(join(planted, copy)), { recursive: true });
    await changed(join(folder, name), join(planted, copy), kind, random);
    made.push({ kind, pair: [name, copy] });
  }
  return made;
}

async function changed(from: string, to: string, kind: Kind, random: Random): Promise<void> {
  const image = sharp(from);
  const { width, height } = await image.metadata();
  const between = (low: number, high: number): number => low + random.uniform() * (high - low);
  const [area, stretch, scale, quality] = [
    between(0.6, 0.9),
    between(0.8, 1.2),
    between(0.3, 0.7),
    Math.round(between(20, 60)),
  ];
  const crops = kind === "crop" || kind === "three";
  const side = (own: number, share: number): number => Math.max(1, Math.round(own * Math.min(1, share)));
  const [w, h] = crops
    ? [side(width, Math.sqrt(area * stretch)), side(height, Math.sqrt(area / stretch))]
    : [width, height];
  const [left, top] = [
    Math.floor(random.uniform() * (width - w + 1)),
    Math.floor(random.uniform() * (height - h + 1)),
  ];
  const cut = image.extract({ left, top, width: w, height: h });
  const scaled = kind === "scale" || kind === "three" ? cut.resize(Math.round(w * scale)) : cut;
  await scaled.jpeg({ quality: kind === "compression" || kind === "three" ? quality : 90 }).toFile(to);
}

if (phase === "labels") await labelStudy(weights, dataPath);
else await copyStudy(weights, dataPath);
