/**
 * Errors as the user sees them, and exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing found, 130 interrupted after saving.
 * A DeitError is shown by its message alone; anything else is a bug of ours and says what to report.
 */
import { CommanderError } from "commander";
import type { ErrorCode } from "../error-codes.ts";
import { ConfigError, DeitError } from "../errors.ts";
import { coloursFor, printLine } from "./output.ts";

export const EXIT = { done: 0, failed: 1, usage: 2, noneReach: 3, interrupted: 130 } as const;

/** Ends a command that has done its work with an exit code that tells scripts how it went; nothing is printed. */
export class QuietExit extends Error {
  override readonly name = "QuietExit";
  readonly code: number;
  constructor(code: number) {
    super(`exit code ${code}`);
    this.code = code;
  }
}

/** Failures of the operating system that are nobody's bug, and what to do about them. */
const SYSTEM_ADVICE: Readonly<Record<string, string>> = {
  ENOENT: "There is no such file or folder.",
  EACCES: "You have no permission for it.",
  EPERM: "You have no permission for it.",
  EROFS: "It is on a disk that cannot be written.",
  ENOSPC: "There is no space left on the disk; make room and start the same command again.",
  EDQUOT: "Your disk quota is used up; make room and start the same command again.",
  ENOTDIR: "A part of its path is a file, not a folder.",
  EISDIR: "It is a folder; a file was expected.",
  EMFILE: "Too many files are open; try fewer --workers or a higher ulimit -n.",
};

/** What commander finds wrong with the words of a command line, by its own codes. */
const USAGE: Readonly<Record<string, ErrorCode>> = {
  "commander.unknownOption": "options/unknown",
  "commander.unknownCommand": "options/unknown",
  "commander.excessArguments": "options/unknown",
  "commander.missingArgument": "options/missing",
  "commander.missingMandatoryOptionValue": "options/missing",
  "commander.optionMissingArgument": "options/value",
  "commander.invalidArgument": "options/value",
  "commander.conflictingOption": "options/conflict",
};

/** Prints `error` on stderr as its reader needs it and returns the exit code. */
export function reportError(error: unknown, { version }: { version: string }): number {
  const colours = coloursFor(process.stderr);
  const print = (text: string): void => printLine(process.stderr, text);
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.done;
    const usage = USAGE[error.code]; // the words commander has printed
    if (usage !== undefined) print(colours.dim(`  code: ${usage}`));
    return EXIT.usage;
  }
  if (error instanceof QuietExit) return error.code;
  if (isInterrupted(error)) {
    print(error.name === "AbortError" ? "interrupted" : error.message);
    return EXIT.interrupted;
  }
  if (error instanceof DeitError) {
    const [first = "", ...rest] = error.message.split("\n");
    const code = error.code === "internal" ? [] : [colours.dim(`  code: ${error.code}`)];
    print([`${colours.red("error:")} ${first}`, ...rest.map((line) => `  ${line}`), ...code].join("\n"));
    return error instanceof ConfigError ? EXIT.usage : EXIT.failed;
  }
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const advice = SYSTEM_ADVICE[code];
  if (advice !== undefined && error instanceof Error) {
    print(`${colours.red("error:")} ${error.message}\n  ${advice}`);
    return EXIT.failed;
  }
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
  print(
    `${colours.red("this is a bug in deit:")} ${trace}\n\n` +
      `Please report it with the lines above, the command line, and: deit-ts ${version}, Node ${process.version}, ` +
      `${process.platform} ${process.arch}.`,
  );
  return EXIT.failed;
}

/** Training that saved and stopped, or other work that a signal ended. */
function isInterrupted(error: unknown): error is Error {
  return error instanceof Error && (error.name === "InterruptedError" || error.name === "AbortError");
}
