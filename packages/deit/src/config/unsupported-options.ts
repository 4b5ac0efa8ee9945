/**
 * Options of the reference (DeiT's `main.py`) that this version lacks. A command line may name them with a
 * value that means "off"; any other value is refused, so that no option is accepted and then ignored. The
 * few that mean nothing here whatever their value (pinned memory, process ranks) are named and passed over.
 */
import { ConfigError } from "../errors.ts";
import { camelCase } from "./names.ts";

export interface MissingOption {
  /** Takes no value on the command line. */
  readonly boolean?: true;
  /** Takes several values on the command line. */
  readonly list?: true;
  /** Values that are accepted; the first one is the advice of the error message. */
  readonly off: readonly (boolean | number | string)[];
  /** What to do instead, where there is something. */
  readonly instead?: string;
}

const switchedOff: MissingOption = { boolean: true, off: [false] };

/** By kebab-case flag name. A dependent option is accepted with the reference's default, as its feature is off. */
export const MISSING_OPTIONS: Readonly<Record<string, MissingOption>> = {
  "lr-noise": { list: true, off: ["none"] },
  "lr-noise-pct": { off: [0.67] },
  "lr-noise-std": { off: [1] },
  resplit: switchedOff,
  cosub: switchedOff,
  "attn-only": { ...switchedOff, instead: "Use: --trainable attention" },
  "inat-category": { off: ["name"] },
  resume: { off: ["none", ""], instead: "Start again with the same --output-dir: that resumes." },
  "start-epoch": { off: [0], instead: "Start again with the same --output-dir: that resumes." },
  eval: { ...switchedOff, instead: "Use: deit eval CKPT --data-path DIR" },
  distributed: { ...switchedOff, instead: "Use: mpirun -n 4 deit train …, or --ranks 4" },
  "world-size": { off: [1], instead: "Use: mpirun -n 4 deit train …, or --ranks 4" },
  "sync-bn": { ...switchedOff, instead: "Each rank has the batch statistics of its own images." },
};

/** Flags of the reference without a meaning here: their presence changes nothing, and the user is told so. */
export const MEANINGLESS_OPTIONS: Readonly<Record<string, { boolean?: true; list?: true; reason: string }>> =
  {
    amp: {
      boolean: true,
      reason: "mixed precision is --precision float16 (float32 is the default)",
    },
    "use-volta32": { boolean: true, reason: "it was for one kind of graphics card" },
    "pin-mem": { boolean: true, reason: "there is no pinned memory to choose" },
    nodes: { reason: "set by mpirun or srun; see docs/scaling.md" },
    ngpus: { reason: "set by mpirun, srun or --ranks; see docs/scaling.md" },
    "dist-eval": { boolean: true, reason: "ranks share every evaluation" },
    "dist-url": { reason: "ranks find each other through MPI" },
    "model-ema-force-cpu": { boolean: true, reason: "the average is kept where the model is trained" },
    "cooldown-epochs": { reason: "the reference ignores it, too" },
    "patience-epochs": { reason: "it belongs to the plateau schedule" },
  };

/**
 * Refuses `value` for a missing option unless it says "off".
 * @param flag whether the user wrote a flag, rather than a key of a file.
 */
export function requireOff(name: string, value: unknown, { flag }: { flag: boolean }): void {
  const missing = MISSING_OPTIONS[name];
  if (missing === undefined || value === null) return;
  const given = typeof value === "string" ? value.toLowerCase() : value;
  const number = typeof given === "string" && given !== "" ? Number(given) : given;
  if (missing.off.some((off) => off === given || off === number)) return;
  const off = String(missing.off[0]);
  const positive = `--${name}`;
  const negative = `--no-${name}`;
  const shown = flag ? (value === false ? negative : positive) : camelCase(name);
  const switchOff = missing.boolean ? (off === "true" ? positive : negative) : `${positive} ${off}`;
  throw new ConfigError(
    camelCase(name),
    `${shown} is not in this version; leave it out or ${flag ? `pass ${switchOff}` : `write ${shown}: ${off}`}`,
    { code: "options/not-supported", ...(missing.instead === undefined ? {} : { hint: missing.instead }) },
  );
}
