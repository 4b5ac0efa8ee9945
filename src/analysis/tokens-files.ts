/** What `deit analyze tokens --out` writes: figures, a table, the numbers, and one page with all of it. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../errors.ts";
import { writeFigure } from "../figures/draw.ts";
import { csv } from "../formats/csv.ts";
import type { TokensResult } from "./tokens.ts";
import { csvRows, tokensFigures, tokensPage } from "./tokens-figures.ts";

/** @returns the names of the files @throws DataError when the folder cannot be made */
export async function writeTokens(folder: string, result: TokensResult, command: string): Promise<string[]> {
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw new DataError(folder, `${folder} cannot be made a folder`, {
      code: "files/not-written",
      hint: "Name another with --out.",
      cause,
    });
  });
  const files: string[] = [];
  for (const [name, figure] of Object.entries(tokensFigures(result)))
    files.push(...(await writeFigure(folder, name, figure)));
  const { head, rows } = csvRows(result);
  const texts = {
    "tokens.csv": csv([head, ...rows]),
    "tokens.json": `${JSON.stringify(result, null, 2)}\n`,
    "index.html": await tokensPage(result, command),
  };
  for (const [name, text] of Object.entries(texts)) await writeFile(join(folder, name), text);
  return [...files, ...Object.keys(texts)];
}
