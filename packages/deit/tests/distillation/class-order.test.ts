/** Which of a teacher's classes is which of the student's. */
import { describe, expect, test } from "vitest";
import { classOrder } from "../../src/distillation/class-order.ts";
import { ConfigError } from "../../src/errors.ts";

const student = { numClasses: 3, classes: ["cat", "golden_retriever", "zebra"] };
const teacher = (
  classes: readonly string[] | undefined,
  numClasses = classes?.length ?? 3,
): Parameters<typeof classOrder>[0] => ({ name: "teacher.onnx", numClasses, classes });

describe("by name", () => {
  test("the same order needs nothing", () => {
    expect(classOrder(teacher(["cat", "golden retriever", "Zebra"]), student)).toBeUndefined();
  });
  test("another order, spelling aside", () => {
    expect([...(classOrder(teacher(["ZEBRA", "Cat", "golden-retriever"]), student) ?? [])]).toEqual([
      1, 2, 0,
    ]);
  });
  test("a teacher may know more", () => {
    const many = teacher(["ant", "zebra", "bee", "cat", "golden_retriever"]);
    expect([...(classOrder(many, student) ?? [])]).toEqual([3, 4, 1]);
  });
  test("a class that it lacks", () => {
    expect(() => classOrder(teacher(["cat", "zebra", "dog"]), student)).toThrow(
      /knows 3 classes, the student 3; the teacher lacks golden_retriever\n/,
    );
  });
});

describe("by number", () => {
  test("where the teacher has no names", () => {
    expect(classOrder(teacher(undefined), student)).toBeUndefined();
  });
  test("where no name agrees: numbers against words", () => {
    expect(classOrder(teacher(["n01", "n02", "n03"]), student)).toBeUndefined();
  });
  test("and it is told where names do not say it", () => {
    const warnings: string[] = [];
    const warn = (message: string): void => void warnings.push(message);
    expect(classOrder(teacher(["n01440764", "n01443537", "n01484850"]), student, warn)).toBeUndefined();
    expect(classOrder(teacher(["zebra", "cat", "golden retriever"]), student, warn)).toBeDefined();
    expect(warnings).toEqual([]);
    expect(classOrder(teacher(["apple", "pear", "plum"]), student, warn)).toBeUndefined();
    expect(classOrder(teacher(undefined), student, warn)).toBeUndefined();
    expect(warnings).toEqual([
      "the teacher teacher.onnx has none of the dataset's class names: classes are matched by order (cat = apple, golden_retriever = pear, zebra = plum)",
      "the teacher teacher.onnx does not name its 3 classes: they are matched by order with the dataset's",
    ]);
  });
  test("unless the numbers differ", () => {
    expect(() => classOrder(teacher(undefined, 1000), student)).toThrow(ConfigError);
    expect(() => classOrder(teacher(["n01", "n02"]), student)).toThrow(/knows 2 classes, the student 3/);
  });
  test("and where names are not unique", () => {
    const twice = { numClasses: 2, classes: ["crane", "crane"] };
    expect(classOrder(teacher(["crane", "crane"]), twice)).toEqual(undefined);
  });
});
