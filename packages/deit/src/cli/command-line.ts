/** The command line of this process, as a user would type it again. */
import { shellWord } from "../printable.ts";

export function commandLine(words: readonly string[] = process.argv.slice(2)): string {
  return ["deit", ...words.map(shellWord)].join(" ");
}
