/**
 * Which images of a dataset a subset holds. A selection is a rule, not a list, wherever it can be: short in a
 * run's record, and the same wherever it is applied. All of them keep the classes in proportion.
 */
import { createRandom } from "../random.ts";
import type { Dataset } from "./dataset.ts";

/** JSON-able. */
export type Selection =
  /** These, in this order. */
  | { readonly rule: "indices"; readonly indices: readonly number[] }
  /** `count` images by chance, every class in its proportion. All of them when there are fewer. */
  | { readonly rule: "sample"; readonly count: number; readonly seed: number }
  /** One side of a split of every class: `fraction` of it for validation (at least one image where there are two). */
  | {
      readonly rule: "split";
      readonly part: "train" | "validation";
      readonly fraction: number;
      readonly seed: number;
    };

/** Indices of the selected images, ascending (but as given under the rule "indices"). */
export function select(labels: Int32Array, selection: Selection): Uint32Array {
  switch (selection.rule) {
    case "indices": {
      const wrong = selection.indices.find((index) => !(index in labels));
      if (wrong !== undefined) throw new RangeError(`image ${wrong} of ${labels.length}`);
      return Uint32Array.from(selection.indices);
    }
    case "sample":
      return sample(labels, selection);
    case "split": {
      const { part, fraction, seed } = selection;
      return Uint32Array.from(
        shuffledClasses(labels, seed, "split").flatMap((members) => {
          const held = Math.min(Math.max(Math.round(members.length * fraction), 1), members.length - 1);
          return part === "validation" ? members.slice(0, held) : members.slice(held);
        }),
      ).toSorted();
    }
  }
}

/** The selected images as a dataset of their own. */
export function takeSubset(dataset: Dataset, take: Selection): Dataset {
  const { encoded, leftOut } = dataset;
  const indices = select(dataset.labels, take);
  const at = (index: number): number => {
    const found = indices[index];
    if (found === undefined) throw new RangeError(`image ${index} of ${indices.length}`);
    return found;
  };
  return {
    name: dataset.name,
    length: indices.length,
    classes: dataset.classes,
    labels: Int32Array.from(indices, (index) => dataset.labels[index] ?? -1),
    source: { kind: "subset", of: dataset.source, take },
    indices: dataset.indices ? indices.map((index) => dataset.indices?.[index] ?? index) : indices,
    ...(dataset.memory && { memory: dataset.memory }),
    decodes: dataset.decodes,
    read: async (index) => dataset.read(at(index)),
    ...(encoded && { encoded: async (index: number) => encoded(at(index)) }),
    describe: (index) => dataset.describe(at(index)),
    ...(dataset.notes && { notes: dataset.notes }),
    ...(leftOut && { leftOut }),
  };
}

/** Each class gives its share rounded down; the classes with the largest remainders give one more. */
function sample(labels: Int32Array, { count, seed }: { count: number; seed: number }): Uint32Array {
  const classes = shuffledClasses(labels, seed, "sample");
  const total = Math.min(count, labels.length);
  const shares = classes.map((members) => (members.length * total) / labels.length);
  const counts = shares.map(Math.floor);
  const byRemainder = shares
    .map((share, index) => ({ index, remainder: share - Math.floor(share) }))
    .toSorted((a, b) => b.remainder - a.remainder || a.index - b.index);
  const missing = total - counts.reduce((sum, n) => sum + n, 0);
  for (const { index } of byRemainder.slice(0, missing)) counts[index] = (counts[index] ?? 0) + 1;
  return Uint32Array.from(classes.flatMap((members, index) => members.slice(0, counts[index]))).toSorted();
}

/** The images of each class, in an order drawn for that class: one more class changes no other. */
function shuffledClasses(labels: Int32Array, seed: number, purpose: string): number[][] {
  const members = new Map<number, number[]>();
  for (const [index, label] of labels.entries()) {
    const known = members.get(label);
    if (known) known.push(index);
    else members.set(label, [index]);
  }
  return [...members]
    .toSorted(([a], [b]) => a - b)
    .map(([label, indices]) => {
      const order = createRandom(seed, purpose, label).permutation(indices.length);
      return Array.from(order, (position) => indices[position] ?? 0);
    });
}
