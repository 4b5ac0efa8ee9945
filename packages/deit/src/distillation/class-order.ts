/** Which of a teacher's classes is which of a student's: by name where both are named, else by number. */
import { ConfigError } from "../errors.ts";
import type { NamedClasses } from "../models/match-classes.ts";
import { matchClasses } from "../models/match-classes.ts";

/**
 * For each of the student's classes the teacher's index of it; undefined when the order is the same.
 * A teacher may know more classes than the student when all are named. `warn` is told where names do not say it.
 * @throws ConfigError for a class that the teacher lacks, or for unequal numbers of unnamed classes
 */
export function classOrder(
  teacher: NamedClasses & { readonly name: string },
  student: NamedClasses,
  warn: (message: string) => void = () => {},
): Int32Array | undefined {
  const match = matchClasses(teacher, student);
  if ("order" in match) {
    const { order, unlike } = match;
    const { name, numClasses, classes } = teacher;
    if (classes === undefined)
      warn(
        `the teacher ${name} does not name its ${numClasses} classes: they are matched by order with the dataset's`,
      );
    if (unlike !== undefined)
      warn(
        `the teacher ${name} has none of the dataset's class names: classes are matched by order (${unlike})`,
      );
    return order;
  }
  const { missing } = match;
  const examples = missing.slice(0, 3).join(", ");
  throw new ConfigError(
    "teacherPath",
    `the teacher ${teacher.name} knows ${teacher.numClasses} classes, the student ${student.numClasses}${examples ? `; the teacher lacks ${examples}${missing.length > 3 ? ", …" : ""}` : ""}`,
    {
      code: "model/other-classes",
      hint: "Teacher and student must have the same classes: train or fine-tune the teacher on the same dataset first (deit train … --finetune TEACHER).",
    },
  );
}
