/** A check of a dataset as files: a page with the images, and a table of what was found, to act on. */
import { join } from "node:path";
import { csv } from "../formats/csv.ts";
import { makeFolder, writeFileAtomic } from "../formats/atomic-file.ts";
import { checkPage } from "./page.ts";
import type { DataCheck } from "./problems.ts";

export const CHECK_FILES = { page: "index.html", table: "problems.csv" } as const;

const COLUMNS = [
  "problem",
  "action",
  "part",
  "class",
  "image",
  "suggested_class",
  "other_part",
  "other_image",
  "score",
  "detail",
] as const;

/** Writes both into `folder`, which is made where there is none. Returns their paths. */
export async function writeCheck(
  folder: string,
  check: DataCheck,
  { command }: { command: string },
): Promise<{ page: string; table: string }> {
  await makeFolder(folder, { what: "the check" });
  const [page, table] = [join(folder, CHECK_FILES.page), join(folder, CHECK_FILES.table)];
  const rows = check.problems.map(({ kind, action, image, suggestedClass, other, score, detail }) => [
    kind,
    action,
    image.part,
    image.className,
    image.name,
    suggestedClass ?? "",
    other?.part ?? "",
    other?.name ?? "",
    score.toFixed(4),
    detail,
  ]);
  await writeFileAtomic(table, csv([COLUMNS, ...rows]), { what: "the table of problems" });
  await writeFileAtomic(page, await checkPage(check, { command }), { what: "the page" });
  return { page, table };
}
