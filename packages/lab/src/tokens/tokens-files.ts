/** What `deit analyze tokens --out` writes: figures, a table, the numbers, and one page with all of it. */
import { writeAnalysis } from "deit-ts/charts";
import type { TokensResult } from "./tokens.ts";
import { csvRows, tokensFigures, tokensPage } from "./tokens-figures.ts";

/** @returns the names of the files @throws DataError when the folder cannot be made */
export async function writeTokens(folder: string, result: TokensResult, command: string): Promise<string[]> {
  const { head, rows } = csvRows(result);
  const figures = tokensFigures(result);
  return writeAnalysis(folder, {
    files: { "tokens.csv": [head, ...rows], "tokens.json": result },
    figures,
    page: tokensPage(result, figures),
    command,
  });
}
