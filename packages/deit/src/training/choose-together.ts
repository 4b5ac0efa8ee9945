/** Options of several ranks: rank 0 chooses, since what is chosen depends on folders that it is about to write into. */
import { createHash } from "node:crypto";
import { resolveTrainOptions } from "../config/resolve.ts";
import type { Layer } from "../config/resolve.ts";
import { MAY_DIFFER_ON_RESUME } from "../config/schema.ts";
import type { TrainOptionName } from "../config/schema.ts";
import { optionNamed } from "../config/resolve.ts";
import { ConfigError, DeitError } from "../errors.ts";
import type { Launch } from "../ranks/launcher.ts";
import type { RankGroup } from "../ranks/mpi-ranks.ts";
import { fromFirst } from "../ranks/ranks.ts";
import { VERSION } from "../version.ts";
import type { ChosenOptions } from "./choose-options.ts";

/** Ranks are started one after another. */
const START_PATIENCE = 10;

interface Given {
  readonly source?: string | undefined;
  readonly layer: Layer;
}

/**
 * What `choose` gives on rank 0, on every rank; with the machine options that each was given itself.
 * @throws DeitError on all ranks when they were given other options, or have another version
 */
export async function chooseTogether<T extends ChosenOptions>(
  ranks: RankGroup | undefined,
  { source, layer }: Given,
  choose: () => Promise<T>,
): Promise<T> {
  if (ranks === undefined) return choose();
  await compareStarts(ranks, { source, layer });
  const chosen = await fromFirst(ranks, choose);
  ranks.timeout = chosen.options.rankTimeout * 1000;
  checkRanks(chosen, ranks);
  const options = { ...chosen.options, ranks: ranks.size };
  if (ranks.rank === 0) return { ...chosen, options };
  const own = resolveTrainOptions([layer]);
  const kept = (["threads", "workers", "device"] as const).filter((name) => own.sources[name] !== "default");
  const values = Object.fromEntries(kept.map((name) => [name, own.options[name]]));
  return { ...chosen, options: { ...options, ...values } };
}

/** @throws ConfigError for --ranks 2 within mpirun -n 4 */
function checkRanks({ options, sources }: ChosenOptions, ranks: RankGroup): void {
  const { ranks: asked } = options;
  if (asked === null || asked === ranks.size || sources.ranks !== "command line") return;
  throw ranks.shared(
    new ConfigError("ranks", `--ranks ${asked} within ${ranks.size} processes of ${ranks.launch.kind}`, {
      code: "options/conflict",
      hint: "Leave out --ranks: it starts a launcher where there is none.",
    }),
  );
}

async function compareStarts(ranks: RankGroup, { source, layer }: Given): Promise<void> {
  const mayDiffer: readonly (TrainOptionName | undefined)[] = MAY_DIFFER_ON_RESUME;
  const values = Object.entries(layer.values)
    .filter(([name]) => !mayDiffer.includes(optionNamed(name)) || optionNamed(name) === "outputDir")
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  const options = createHash("sha256")
    .update(JSON.stringify([source, values]))
    .digest("hex");
  const version = `deit-ts ${VERSION}, Node ${process.versions.node}`;
  const found = await ranks.gather({ version, options }, { patience: START_PATIENCE });
  const [first, ...others] = found as unknown as { version: string; options: string }[];
  for (const [i, other] of others.entries()) {
    const who = `${ranks.name(i + 1)} has`;
    if (other.version !== first?.version)
      throw ranks.shared(
        new DeitError(
          `${who} another version than ${ranks.name(0)}: ${other.version} there, ${first?.version} here`,
          {
            code: "ranks/other-version",
            hint: "Install the same version on every machine.",
          },
        ),
      );
    if (other.options !== first.options)
      throw ranks.shared(
        new DeitError(`${who} other options than ${ranks.name(0)}`, {
          code: "ranks/other-options",
          hint: "Start every rank with the same command line; threads, workers and device may differ.",
        }),
      );
  }
}

/** Ranks that are asked for in a process that no launcher started; undefined: none. */
export function ranksToStart(asked: unknown, launch: Launch | undefined): number | undefined {
  const ranks = Number(asked ?? 1);
  return launch === undefined && Number.isInteger(ranks) && ranks > 1 ? ranks : undefined;
}
