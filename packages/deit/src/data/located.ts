/** What a folder is found to hold: sources by part, with notes on what was assumed. */
import type { DatasetSource } from "./dataset.ts";
import type { Part } from "./split-names.ts";

export interface Located {
  /** Images that belong to no part: no split was made. */
  readonly all?: DatasetSource;
  readonly train?: DatasetSource;
  /** What is for validation; else what is for testing. */
  readonly validation?: DatasetSource;
  /** Only where there are validation images, too: never used in training. */
  readonly test?: DatasetSource;
  /** What was assumed, and what is left out. */
  readonly notes?: readonly string[];
}

export const PARTS = ["train", "validation", "test"] as const;

export function withNotes(located: Located, notes: readonly string[]): Located {
  const all = [...(located.notes ?? []), ...notes];
  return all.length === 0 ? located : { ...located, notes: all };
}

/** Sources by part; a test part serves for validation where there is no other. */
export function partsAre(
  sources: Partial<Record<Part, DatasetSource>>,
  { where, name, notes = [] }: { where: string; name: (part: Part) => string; notes?: readonly string[] },
): Located {
  const { train, validation, test } = sources;
  const said = [...notes];
  if (train !== undefined && validation === undefined && test !== undefined)
    said.push(`${where} has no validation images: ${name("test")} is used for validation`);
  if (train !== undefined && validation !== undefined && test !== undefined)
    said.push(`${name("test")} is left out: training never sees it`);
  const measured = validation ?? test;
  return withNotes(
    {
      ...(train && { train }),
      ...(measured && { validation: measured }),
      ...(validation && test && { test }),
    },
    said,
  );
}
