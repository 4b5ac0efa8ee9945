/** What several processes that train together settle before the first step: who does what, and that all are alike. */
import { createHash } from "node:crypto";
import { availableParallelism, cpus } from "node:os";
import { sampleImages } from "../data/image-samples.ts";
import { partKeys } from "../data/recorded-images.ts";
import { MAY_DIFFER_ON_RESUME } from "../config/schema.ts";
import type { ErrorCode } from "../error-codes.ts";
import { ConfigError, DeitError } from "../errors.ts";
import type { Target } from "../graph/program.ts";
import { coresOfRank } from "../ranks/launcher.ts";
import type { RankGroup } from "../ranks/mpi-ranks.ts";
import type { Ranks } from "../ranks/ranks.ts";
import { fromFirst } from "../ranks/ranks.ts";
import { VERSION } from "../version.ts";
import type { TrainingPlan } from "./plan.ts";
import type { Prepared } from "./prepare.ts";
import { updateBatchesToResume } from "./run/run-record.ts";

/** Opening images and a device takes ranks longer or shorter. */
const OPENING_PATIENCE = 10;

/**
 * A plan as this process carries it out. An update consists of --accumulation-steps batches of every rank; in a run that is
 * gone on with it stays what it was, so that its samples do not depend on how many ranks share them.
 * @throws ConfigError for more ranks than an update has batches
 */
export async function planOfRank(plan: TrainingPlan, ranks: RankGroup | undefined): Promise<TrainingPlan> {
  const { accumulationSteps } = plan.batches;
  const { size = 1 } = ranks ?? {};
  const batches = await fromFirst(ranks, async () => {
    const saved = await updateBatchesToResume(plan.run.folder);
    return saved === undefined ? accumulationSteps * size : (saved.recorded ?? accumulationSteps);
  });
  const machine = ranks === undefined ? plan.machine : { ...plan.machine, cores: coresHere(ranks) };
  if (ranks === undefined) return { ...plan, batches: { ...plan.batches, accumulationSteps: batches } };
  const { rank } = ranks;
  // Each rank takes the card of its number on this machine, unless somebody has said which.
  if (plan.machine.device === "cuda") process.env["CUDA_VISIBLE_DEVICES"] ??= String(ranks.launch.localRank);
  if (size > batches) {
    throw ranks.shared(
      new ConfigError(
        "ranks",
        `an update of the run in ${plan.run.folder} is ${batches} ${batches === 1 ? "batch" : "batches"} of ${plan.batches.batchSize} images, and ${size} ranks were started`,
        {
          code: "ranks/too-many",
          hint: `Go on with ${batches} or fewer, or start a new run in another --output-dir.`,
        },
      ),
    );
  }
  if (plan.machine.stepsPerRun !== null && plan.machine.stepsPerRun > 1) {
    throw ranks.shared(
      new ConfigError(
        "stepsPerRun",
        `--steps-per-run ${plan.machine.stepsPerRun} cannot be combined with several ranks, which exchange gradients after every step`,
        { code: "options/conflict", hint: "Leave it out." },
      ),
    );
  }
  return {
    ...plan,
    machine,
    batches: { ...plan.batches, accumulationSteps: batches, process: { rank, size } },
  };
}

function coresHere({ launch }: RankGroup): number {
  return coresOfRank(launch, { usable: availableParallelism(), all: cpus().length });
}

/** What has to be the same on all ranks, and what is wrong when it is not. */
interface Alike {
  readonly version: string;
  readonly options: string;
  readonly images: string;
  readonly device: string;
}

const DIFFERENCES: readonly { key: keyof Alike; code: ErrorCode; what: string; hint: string }[] = [
  {
    key: "version",
    code: "ranks/other-version",
    what: "another version of deit-ts",
    hint: "Install the same version on every machine.",
  },
  {
    key: "options",
    code: "ranks/other-options",
    what: "other options",
    hint: "Start every rank with the same command line.",
  },
  {
    key: "images",
    code: "ranks/other-data",
    what: "other images",
    hint: "Every machine needs the same images under the same path.",
  },
  {
    key: "device",
    code: "ranks/other-device",
    what: "another device",
    hint: "Name one that all machines have: --device cpu.",
  },
];

/**
 * Compares this rank with rank 0, and finds the form of programs that all of them can run: rank 0's, or on CPUs that take
 * convolutions in blocks of different sizes the one without blocks.
 * @throws DeitError on all ranks when one is unlike rank 0
 */
export async function agree(
  ranks: Ranks,
  plan: TrainingPlan,
  { opened, runtime, precision }: Pick<Prepared, "opened" | "runtime" | "precision">,
): Promise<Target> {
  const own: Alike = {
    version: `${VERSION}, Node ${process.versions.node}`,
    options: hash(optionsOf(plan)),
    images: await imagesOf(opened),
    device: `${runtime.device}, ${precision}`,
  };
  const found = await ranks.gather({ ...own, target: runtime.target }, { patience: OPENING_PATIENCE });
  const [first, ...others] = found as unknown as (Alike & { target: Target })[];
  for (const { key, ...difference } of DIFFERENCES)
    for (const [i, other] of others.entries())
      if (first !== undefined && other[key] !== first[key])
        throw ranks.shared(unlike(ranks, i + 1, { ...difference, there: other[key], here: first[key] }));
  const targets = new Set([first, ...others].map((each) => each?.target));
  return targets.size === 1 ? runtime.target : "cpu";
}

function unlike(
  ranks: Ranks,
  rank: number,
  {
    code,
    what,
    hint,
    there,
    here,
  }: { code: ErrorCode; what: string; hint: string; there: string; here: string },
): DeitError {
  const isReadable = there.length < 40 && here.length < 40;
  const values = isReadable ? `: ${there} there, ${here} here` : "";
  return new DeitError(`${ranks.name(rank)} has ${what} than ${ranks.name(0)}${values}`, { code, hint });
}

/** Options that decide the result. The images themselves are compared, not where they lie. */
function optionsOf({ run }: TrainingPlan): Record<string, unknown> {
  const mayDiffer: readonly string[] = [...MAY_DIFFER_ON_RESUME, ...run.mayDiffer, "dataPath"];
  return Object.fromEntries(Object.entries(run.args).filter(([name]) => !mayDiffer.includes(name)));
}

/** Names, labels and parts of all images, and the content of some. */
async function imagesOf(opened: Prepared["opened"]): Promise<string> {
  const keys = partKeys(opened);
  const ownValidation = !opened.automaticSplit && opened.validation !== undefined;
  const parts = [opened.train, opened.validation].map((part) => part && [part.classes, [...part.labels]]);
  return hash({ keys, parts, samples: await sampleImages(opened, keys, { ownValidation }) });
}

function hash(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
