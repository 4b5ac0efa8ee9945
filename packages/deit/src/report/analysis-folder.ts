/** The folder of an analysis: its tables and documents, its figures, and all of it as one page, index.html. */
import { join } from "node:path";
import type { Chart } from "../figures/chart.ts";
import { chartFile } from "../figures/chart.ts";
import type { PageFrame, PageSection } from "../figures/page.ts";
import { figurePage } from "../figures/page.ts";
import { makeFolder, writeFileAtomic } from "../formats/atomic-file.ts";
import { csv } from "../formats/csv.ts";

export interface AnalysisContent {
  /** By file name: rows for .csv, a document for .json, or bytes. */
  readonly files: Readonly<Record<string, CsvRows | Uint8Array | object>>;
  /** By name without ending; those that are undefined are left out. */
  readonly figures: Readonly<Record<string, Chart | undefined>>;
  readonly page: Omit<PageFrame, "command"> & { readonly sections: readonly PageSection[] };
  /** What made it, as a user would type it. */
  readonly command?: string | undefined;
}

export type CsvRows = readonly (readonly (string | number)[])[];

/** Writes into a folder, which is made. @returns the names of the files @throws DeitError when they cannot be written */
export async function writeAnalysis(
  folder: string,
  { files, figures, page, command }: AnalysisContent,
): Promise<string[]> {
  await makeFolder(folder, { what: "the analysis" });
  const contents: (readonly [name: string, content: string | Uint8Array])[] = [
    ...Object.entries(files).map(([name, content]) => [name, encoded(name, content)] as const),
    ["index.html", figurePage({ ...page, ...(command !== undefined && { command }) })],
    ...Object.entries(figures).flatMap(([name, figure]) =>
      figure === undefined ? [] : [[`${name}.svg`, chartFile(figure)] as const],
    ),
  ];
  for (const [name, content] of contents) await writeFileAtomic(join(folder, name), content, { what: name });
  return contents.map(([name]) => name);
}

function encoded(name: string, content: CsvRows | Uint8Array | object): string | Uint8Array {
  if (content instanceof Uint8Array) return content;
  return name.endsWith(".csv") ? csv(content as CsvRows) : `${JSON.stringify(content, null, 2)}\n`;
}
