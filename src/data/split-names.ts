/**
 * The usual names of the parts of a dataset: of folders (Training, test_set, val2017), of files (train.csv) and of values
 * in a column (dev). The one place that knows them.
 */

/** "test": kept for a last measurement, never trained on. */
export type Part = "train" | "validation" | "test";

const NAMES: ReadonlyMap<string, Part> = new Map([
  ...["train", "training", "trn"].map((name) => [name, "train"] as const),
  ...["val", "valid", "validation", "dev", "development"].map((name) => [name, "validation"] as const),
  ...["test", "testing", "tst", "eval", "evaluation", "holdout"].map((name) => [name, "test"] as const),
]);

/** Words that say nothing beside the name of a part, as in train_set or test images. */
const FILLERS = new Set(
  `set split part data dataset image images img imgs picture pictures photo photos label labels
  metadata list file files folder`.split(/\s+/),
);
const FILLER_END = /(?:set|split|data|images|imgs)$/;

/** The part that a name stands for, in any case and with numbers beside it; undefined for other names, such as "train station". */
export function partOf(name: string): Part | undefined {
  const words = name
    .toLowerCase()
    .split(/[^\p{L}]+/u)
    .filter((word) => word !== "" && !FILLERS.has(word));
  const [word] = words;
  if (word === undefined || words.length > 1) return undefined;
  return NAMES.get(word) ?? NAMES.get(word.replace(FILLER_END, ""));
}
