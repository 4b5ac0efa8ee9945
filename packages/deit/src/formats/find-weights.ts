/**
 * Which of a file's tensors are the model's. Training scripts keep a model under a name (`model`, `state_dict`, `net`), or
 * two of them (trained and averaged, student and teacher), with others beside (a loss, metrics): a model is found by the
 * names that it has itself, under whatever prefix.
 */
import { FormatError } from "../errors.ts";

/** "model": the trained weights; "ema": their average; else the name under which the weights stand in the file. */
export type WeightsChoice = string;

export interface FoundWeights {
  /** Names without prefix and wrappers → names in the file, in the file's order. */
  readonly names: ReadonlyMap<string, string>;
  /** What stands before the names in the file: "state_dict.net.", or nothing. */
  readonly prefix: string;
  /** What was chosen and left out, a sentence each. */
  readonly notes: readonly string[];
}

export interface FindWeightsOptions {
  /** How messages name the file. */
  readonly path: string;
  /** The trained weights where there are any, unless told. */
  readonly weights?: WeightsChoice | undefined;
  /** Whether the file says that its weights are averaged ones. */
  readonly isAveraged?: boolean | undefined;
}

/** Names that only the first layer of a model has, and one more that a whole model has, too. */
const ANCHORS: readonly { readonly anchor: string; readonly companion: string; readonly inner?: RegExp }[] = [
  { anchor: "patch_embed.proj.weight", companion: "cls_token" },
  {
    anchor: "embeddings.patch_embeddings.projection.weight",
    companion: "embeddings.cls_token",
    inner: /(?:^|(?<=\.))(?:vit|deit|dinov2|dinov2_with_registers)\.$/, // Hugging Face's classifier stands outside of it
  },
  { anchor: "layer1.0.conv1.weight", companion: "conv1.weight" }, // ResNet
  { anchor: "s1.b1.conv1.conv.weight", companion: "stem.conv.weight" }, // RegNetY
];

/** What torch.compile, FSDP and activation checkpointing put around some modules only. */
const WRAPPERS = /(^|\.)(?:(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.)+/g;
/** Parts of a prefix that say "averaged": model_ema, state_dict_ema, ema_model, average_model_state, swa_model. */
const AVERAGED = /(?:^|_)(?:ema|swa|average|averaged)(?:_|$)/i;
/** Models that a trained one learns from. */
const TEACHER = /^(?:teacher|target|momentum)(?:_|$)|_(?:teacher|target|momentum|k)$/i;
/** Where scripts put the one that is meant, in this order. */
const USUAL = ["model", "state_dict", "module", "model_state_dict", "net", "weights"] as const;
/** Beside a model without a prefix: of training alone. */
const OF_TRAINING =
  /^(?:criterion|loss(?:es|_\w+)?|\w+_loss|teacher|metrics?|accuracy|(?:train|val|valid|test)_\w+)\./;
/** How names without a prefix are chosen. */
const TOP = ".";
const NAMED = 3;
/** Of one file: more are not a checkpoint, and each name is compared with all of them. */
const MOST_MODELS = 64;
/** How the note about tensors beside the model begins. */
export const LEFT_OUT = "tensors left out";

interface Candidate {
  readonly prefix: string;
  readonly isWhole: boolean;
  readonly isAveraged: boolean;
}

/**
 * Finds the model's tensors among the names of a file.
 * @throws FormatError (checkpoint/no-such-weights, checkpoint/several-models) when the choice is not there, or has to be made
 */
export function findWeights(
  stored: Iterable<string>,
  { path, weights, isAveraged = false }: FindWeightsOptions,
): FoundWeights {
  const bare = withoutWrappers(stored);
  const candidates = candidatesAmong(bare).map((candidate) =>
    candidate.prefix === "" && isAveraged ? { ...candidate, isAveraged } : candidate,
  );
  if (candidates.length > MOST_MODELS) throw severalModels(path, candidates);
  const chosen = choose(candidates, { path, weights });
  const rivals = candidates.filter(({ prefix }) => prefix !== chosen.prefix).map(({ prefix }) => prefix);
  const isRivals = (name: string): boolean =>
    rivals.some((prefix) => prefix.length > chosen.prefix.length && name.startsWith(prefix));
  const names = new Map<string, string>();
  const leftOut: string[] = [];
  for (const [name, inFile] of bare) {
    const isOutside = !name.startsWith(chosen.prefix) || (chosen.prefix === "" && OF_TRAINING.test(name));
    if (!isOutside && !isRivals(name)) names.set(name.slice(chosen.prefix.length), inFile);
    else if (!rivals.some((prefix) => prefix !== "" && name.startsWith(prefix))) leftOut.push(inFile);
  }
  return {
    names,
    prefix: chosen.prefix,
    notes: [...said(chosen, { candidates, isAsked: weights !== undefined }), ...beside(chosen, leftOut)],
  };
}

/** Names without wrappers → names in the file. Two that would become one keep theirs, both models'. */
function withoutWrappers(stored: Iterable<string>): Map<string, string> {
  const names = [...stored];
  const bare = new Map(names.map((name) => [name.replaceAll(WRAPPERS, "$1"), name]));
  return bare.size === names.length ? bare : new Map(names.map((name) => [name, name]));
}

/** Every place where a model stands; whole ones alone, where there are any. */
function candidatesAmong(names: ReadonlyMap<string, string>): Candidate[] {
  const places = new Map<string, boolean>();
  for (const name of names.keys()) {
    for (const { anchor, companion, inner } of ANCHORS) {
      if (!name.endsWith(anchor)) continue;
      const full = name.slice(0, -anchor.length);
      if (full !== "" && !full.endsWith(".")) continue;
      const prefix = inner === undefined ? full : full.replace(inner, "");
      places.set(prefix, (places.get(prefix) ?? false) || names.has(full + companion));
    }
  }
  if (places.size === 0) return byPlace(names);
  const isAveraged = averagedIn([...places.keys()]);
  const all = [...places].map(([prefix, isWhole]) => ({ prefix, isWhole, isAveraged: isAveraged(prefix) }));
  const whole = all.filter(({ isWhole }) => isWhole);
  return whole.length > 0 ? whole : all;
}

/** Where nothing is known of the model: under a usual name that all tensors have but averaged ones. */
function byPlace(names: ReadonlyMap<string, string>): Candidate[] {
  const heads = new Set([...names.keys()].map((name) => name.slice(0, name.indexOf(".") + 1)));
  const isAveraged = averagedIn([...heads]);
  const [trained = "", ...others] = [...heads].filter((head) => !isAveraged(head));
  const isOnly = others.length === 0 && (USUAL as readonly string[]).includes(trained.slice(0, -1));
  const averaged = [...heads].filter((head) => head !== "" && isAveraged(head));
  return [
    ...(heads.size > averaged.length || averaged.length === 0
      ? [{ prefix: isOnly ? trained : "", isWhole: false, isAveraged: false }]
      : []),
    ...averaged.map((prefix) => ({ prefix, isWhole: false, isAveraged: true })),
  ];
}

/** Lightning's averaging keeps what was trained as current_model_state, and its average as state_dict. */
function averagedIn(prefixes: readonly string[]): (prefix: string) => boolean {
  const isSwapped = prefixes.some((prefix) => prefix.startsWith("current_model_state."));
  return (prefix) =>
    (isSwapped && prefix.startsWith("state_dict.")) ||
    prefix.split(".").some((segment) => AVERAGED.test(segment));
}

function choose(
  candidates: readonly Candidate[],
  { path, weights }: { path: string; weights: WeightsChoice | undefined },
): Candidate {
  const kind = weights === "model_ema" ? "ema" : weights;
  const trained = candidates.filter(({ isAveraged }) => !isAveraged);
  const averaged = candidates.filter(({ isAveraged }) => isAveraged);
  const among =
    kind === undefined
      ? trained.length > 0
        ? trained
        : averaged
      : kind === "model"
        ? trained
        : kind === "ema"
          ? averaged
          : candidates.filter((candidate) =>
              kind === TOP ? candidate.prefix === "" : `${nameOf(candidate)}.`.startsWith(`${kind}.`),
            );
  if (among.length === 0) throw noSuchWeights(path, { weights, candidates });
  const students = among.filter(({ prefix }) => !isTeachers(prefix));
  const meant = students.length > 0 ? students : among;
  const [only, second] = meant;
  if (only !== undefined && second === undefined) return only;
  // {model: …, state_dict: …}: different places that are all usual, so the most usual one
  const rank = ({ prefix }: Candidate): number => USUAL.findIndex((place) => prefix.startsWith(`${place}.`));
  const ranks = meant.map(rank);
  const [first] = meant.toSorted((a, b) => rank(a) - rank(b));
  if (first !== undefined && !ranks.includes(-1) && new Set(ranks).size === ranks.length) return first;
  throw severalModels(path, meant);
}

function severalModels(path: string, found: readonly Candidate[]): FormatError {
  return new FormatError(path, `holds ${found.length} models: ${listed(found.map(nameOf))}`, {
    code: "checkpoint/several-models",
    hint:
      found.length > MOST_MODELS
        ? "Save the model that you need in a file of its own."
        : `Choose one: --weights ${nameOf(found[0])}.`,
  });
}

function noSuchWeights(
  path: string,
  { weights = "", candidates }: { weights: string | undefined; candidates: readonly Candidate[] },
): FormatError {
  const there = candidates.map(
    (candidate) =>
      (candidate.prefix === "" ? "one set of weights" : nameOf(candidate)) +
      (candidate.isAveraged ? " (averaged)" : ""),
  );
  const what =
    weights === "ema" || weights === "model_ema"
      ? "has no averaged weights"
      : weights === "model"
        ? "has only averaged weights"
        : `has no weights under ${JSON.stringify(weights.slice(0, 80))}`;
  return new FormatError(path, `${what}; it holds ${listed(there)}`, {
    code: "checkpoint/no-such-weights",
    hint: "Leave out --weights, or name what is there.",
  });
}

const isTeachers = (prefix: string): boolean => prefix.split(".").some((segment) => TEACHER.test(segment));

/** As --weights takes it. */
const nameOf = (candidate: Candidate | undefined): string =>
  candidate === undefined || candidate.prefix === "" ? TOP : candidate.prefix.slice(0, -1);

/** Which of several was taken. */
function said(
  chosen: Candidate,
  { candidates, isAsked }: { candidates: readonly Candidate[]; isAsked: boolean },
): string[] {
  const other = candidates.find((candidate) => candidate !== chosen);
  if (other === undefined) return [];
  const kindOf = ({ isAveraged }: Candidate): string => (isAveraged ? "averaged" : "trained");
  if (isAsked) return [`weights used: ${nameOf(chosen)} (${kindOf(chosen)})`];
  const all = candidates.map((candidate) => `${nameOf(candidate)} (${kindOf(candidate)})`);
  const flag = other.isAveraged === chosen.isAveraged ? nameOf(other) : other.isAveraged ? "ema" : "model";
  return [
    `the checkpoint holds ${candidates.length} sets of weights: ${listed(all)}; used: ${nameOf(chosen)} (--weights ${flag} takes the other)`,
  ];
}

function beside({ prefix }: Candidate, leftOut: readonly string[]): string[] {
  if (leftOut.length === 0) return [];
  const where = prefix === "" ? "beside the model" : `outside of ${prefix.slice(0, -1)}`;
  return [`${LEFT_OUT}, as they are ${where}: ${listed(leftOut)}`];
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, NAMED).map((name) => (name.length > 80 ? `${name.slice(0, 80)}…` : name));
  return shown.join(", ") + (names.length > NAMED ? ` and ${names.length - NAMED} more` : "");
}
