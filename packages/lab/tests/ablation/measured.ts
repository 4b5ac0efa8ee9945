/** A study as it is when all is trained, with numbers that nothing was trained for: two students on three amounts of images. */
import type { AblationOutcome } from "../../src/ablation/files.ts";
import type { ResultRecord } from "../../src/ablation/results.ts";
import type { AblationLine, AblationTable } from "../../src/ablation/table.ts";

const AMOUNTS = [2_500, 10_000, 50_000];
const STUDENTS = ["labels alone", "taught by the convnet"];
const SEEDS = [0, 1, 2];

function linesOf(student: string, amount: number): AblationLine[] {
  const name = `${student}, ${amount.toLocaleString("en-US")} images`;
  return [
    { name: `${name}: distillation head`, head: "distillation" },
    { name: `${name}: both heads`, head: "joint", paper: 80 },
  ];
}

const table: AblationTable = {
  name: "two students",
  recipe: {},
  axis: "different training images",
  rows: STUDENTS.flatMap((student) =>
    AMOUNTS.map((amount) => ({
      name: `${student} ${amount}`,
      change: {},
      against: `labels alone ${amount}`,
      lines: linesOf(student, amount),
      series: student,
      x: amount,
    })),
  ),
  contrasts: [
    {
      name: "50,000 − 2,500 images of the convnet's student",
      row: "taught by the convnet 50000",
      against: "taught by the convnet 2500",
    },
  ],
};

/** Grows with the images and with a teacher; unlike from seed to seed, and between heads. */
function acc1(student: number, amount: number, head: number, seed: number): number {
  return 40 + 7 * amount + 3 * student + 0.3 * head + ((5 * seed + 3 * amount + 2 * student) % 4) * 0.7;
}

export function measuredStudy(): AblationOutcome {
  const measured = STUDENTS.flatMap((student, s) =>
    AMOUNTS.flatMap((amount, a) =>
      linesOf(student, amount).flatMap(({ name: line }, h) =>
        SEEDS.map((seed) => ({ line, row: `${student} ${amount}`, seed, value: acc1(s, a, h, seed) })),
      ),
    ),
  );
  return {
    table,
    missing: 1,
    records: measured.map(
      ({ value, seed, ...one }) =>
        ({ ...one, seed: String(seed), acc1: value.toFixed(2) }) as unknown as ResultRecord,
    ),
    answers: measured.flatMap(({ value, ...one }) =>
      ["convnet", "a witness that taught nobody"].map((other, i) => ({
        ...one,
        with: other,
        disagreement: 95 - value + 2 * i,
        images: 5000,
      })),
    ),
  };
}
