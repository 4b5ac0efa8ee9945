/** Which of a teacher's classes is which of a student's: by name where both are named, else by number. */
import { ConfigError } from "../errors.ts";

export interface NamedClasses {
  readonly numClasses: number;
  /** By index; undefined where the model does not say. */
  readonly classes: readonly string[] | undefined;
}

/**
 * For each of the student's classes the teacher's index of it; undefined when the order is the same.
 * A teacher may know more classes than the student when all are named.
 * @throws ConfigError for a class that the teacher lacks, or for unequal numbers of unnamed classes
 */
export function classOrder(
  teacher: NamedClasses & { readonly name: string },
  student: NamedClasses,
): Int32Array | undefined {
  if (teacher.numClasses === student.numClasses && sameNames(teacher, student)) return undefined;
  const named = teacher.classes?.length === teacher.numClasses ? teacher.classes : undefined;
  const byName = named && orderByName(named, student.classes ?? []);
  if (byName !== undefined) {
    return byName.length === teacher.numClasses && byName.every((index, i) => index === i)
      ? undefined
      : Int32Array.from(byName);
  }
  if (teacher.numClasses === student.numClasses && (named === undefined || !sharesNames(named, student)))
    return undefined;
  const missing = named && (student.classes ?? []).filter((name) => !named.map(plain).includes(plain(name)));
  const examples = missing?.slice(0, 3).join(", ");
  throw new ConfigError(
    "teacherPath",
    `the teacher ${teacher.name} knows ${teacher.numClasses} classes, the student ${student.numClasses}${examples ? `; the teacher lacks ${examples}${(missing?.length ?? 0) > 3 ? ", …" : ""}` : ""}`,
    {
      hint: "A teacher answers for the student's classes: train or fine-tune it on the same dataset first (deit train … --finetune TEACHER).",
    },
  );
}

function orderByName(teacher: readonly string[], student: readonly string[]): number[] | undefined {
  const indices = new Map(teacher.map((name, i) => [plain(name), i]));
  const found = student.map((name) => indices.get(plain(name)));
  if (student.length === 0 || indices.size !== teacher.length) return undefined; // no names, or two alike
  return found.every((index) => index !== undefined) ? found : undefined;
}

function sameNames({ classes: a }: NamedClasses, { classes: b }: NamedClasses): boolean {
  return a !== undefined && a.length === b?.length && a.every((name, i) => plain(name) === plain(b[i] ?? ""));
}

/** Whether some names agree: then classes without a partner are a mistake, not another way of naming. */
function sharesNames(teacher: readonly string[], { classes = [] }: NamedClasses): boolean {
  const names = new Set(teacher.map(plain));
  return classes.some((name) => names.has(plain(name)));
}

/** Spelling aside: "Golden_Retriever" is "golden retriever". */
function plain(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replaceAll(/[\s_-]+/g, " ");
}
