/** Which of one model's classes is which of another's: by name where both are named, else by number. Pure. */
import { differingNames, plainName } from "../class-names.ts";

export interface NamedClasses {
  readonly numClasses: number;
  /** By index; undefined where the model does not say. */
  readonly classes: readonly string[] | undefined;
}

/** For each of the wanted classes the model's index of it (undefined: the order is the same), or those that it lacks. */
export type ClassMatch =
  | {
      readonly order: Int32Array | undefined;
      /** "cat = Katze, dog = Hund, …": both have names, none agrees, and their numbers were taken. */
      readonly unlike?: string;
    }
  /** Names where there are any; sizes that differ say the rest. */
  | { readonly missing: readonly string[] };

/** The model may know more classes than are wanted when all are named. */
export function matchClasses(model: NamedClasses, wanted: NamedClasses): ClassMatch {
  if (model.numClasses === wanted.numClasses && sameNames(model, wanted)) return { order: undefined };
  const named = model.classes?.length === model.numClasses ? model.classes : undefined;
  const byName = named && orderByName(named, wanted.classes ?? []);
  if (byName !== undefined) {
    const same = byName.length === model.numClasses && byName.every((index, i) => index === i);
    return { order: same ? undefined : Int32Array.from(byName) };
  }
  if (model.numClasses === wanted.numClasses && (named === undefined || !sharesNames(named, wanted))) {
    const unlike = named && differingNames(wanted.classes ?? [], named);
    return { order: undefined, ...(unlike !== undefined && { unlike }) };
  }
  const known = new Set(named?.map(plainName));
  return { missing: (named && wanted.classes?.filter((name) => !known.has(plainName(name)))) ?? [] };
}

/** Columns of `logits` [B, `numClasses`] in another order, or some of them: [B, order.length]. */
export function reorderClasses(
  logits: Float32Array,
  { order, numClasses }: { order: Int32Array | undefined; numClasses: number },
): Float32Array {
  if (order === undefined) return logits;
  const rows = logits.length / numClasses;
  const result = new Float32Array(rows * order.length);
  for (let row = 0; row < rows; row++) {
    for (const [i, index] of order.entries())
      result[row * order.length + i] = logits[row * numClasses + index] ?? Number.NaN;
  }
  return result;
}

function orderByName(model: readonly string[], wanted: readonly string[]): number[] | undefined {
  const indices = new Map(model.map((name, i) => [plainName(name), i]));
  const found = wanted.map((name) => indices.get(plainName(name)));
  if (wanted.length === 0 || indices.size !== model.length) return undefined; // no names, or two alike
  return found.every((index) => index !== undefined) ? found : undefined;
}

function sameNames({ classes: a }: NamedClasses, { classes: b }: NamedClasses): boolean {
  return (
    a !== undefined &&
    a.length === b?.length &&
    a.every((name, i) => plainName(name) === plainName(b[i] ?? ""))
  );
}

/** Whether some names agree: then classes without a partner are a mistake, not another way of naming. */
function sharesNames(model: readonly string[], { classes = [] }: NamedClasses): boolean {
  const names = new Set(model.map(plainName));
  return classes.some((name) => names.has(plainName(name)));
}
