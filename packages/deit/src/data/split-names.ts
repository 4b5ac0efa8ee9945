/**
 * The usual names of the parts of a dataset: of folders (Training, test_set, val2017), of files (train.csv) and of values
 * in a column (dev). The one place that knows them.
 */

/** "test": kept for a last measurement, never trained on. */
export type Part = "train" | "validation" | "test";

const NAMES: ReadonlyMap<string, Part> = new Map([
  ...["train", "training", "trn", "trainval"].map((name) => [name, "train"] as const),
  ...["val", "valid", "validate", "validation", "dev", "development"].map(
    (name) => [name, "validation"] as const,
  ),
  ...["test", "testing", "tst", "eval", "evaluation", "holdout"].map((name) => [name, "test"] as const),
]);

/** Words that say nothing beside the name of a part, as in train_set or test images. */
const FILLERS = new Set(
  `set split part data dataset image images img imgs picture pictures photo photos label labels
  metadata list file files folder public private`.split(/\s+/),
);
const FILLER_END = /(?:set|split|data|images|imgs)$/;

/** The part that a name stands for, in any case and with numbers beside it; undefined for other names, such as "train station". */
export function partOf(name: string): Part | undefined {
  const words = wordsOf(name).filter((word) => !FILLERS.has(word));
  return words.length === 1 || words.join(" ") === "train val" ? partOfWord(words.join("")) : undefined;
}

/**
 * The parts that names beside one another stand for. Names that say more than the part, as seg_train and seg_test, are
 * parts where they differ in the part alone and one of them is for training.
 */
export function partsOf(names: readonly string[]): ReadonlyMap<string, Part> {
  const found = new Map<string, Part>();
  const alike = new Map<string, { name: string; part: Part }[]>();
  for (const name of names) {
    const part = partOf(name);
    if (part !== undefined) {
      found.set(name, part);
      continue;
    }
    const words = wordsOf(name);
    for (const at of new Set([0, words.length - 1])) {
      const word = partOfWord(words[at] ?? "");
      if (word === undefined) continue;
      const rest = words.toSpliced(at, 1, "*").join(" ");
      alike.set(rest, [...(alike.get(rest) ?? []), { name, part: word }]);
    }
  }
  if (found.size > 0) return found;
  for (const group of alike.values()) {
    const parts = new Set(group.map(({ part }) => part));
    if (parts.size > 1 && parts.has("train")) for (const { name, part } of group) found.set(name, part);
  }
  return found;
}

function partOfWord(word: string): Part | undefined {
  return NAMES.get(word) ?? NAMES.get(word.replace(FILLER_END, ""));
}

/** In lower case; TrainSet is two words. */
function wordsOf(name: string): string[] {
  return name
    .replaceAll(/(\p{Ll})(?=\p{Lu})/gu, "$1 ")
    .toLowerCase()
    .split(/[^\p{L}]+/u)
    .filter((word) => word !== "");
}
