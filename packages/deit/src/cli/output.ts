/**
 * Where the command line's words go: results to stdout (one JSON document with --json), everything else to
 * stderr. Colours where the stream is a terminal, unless NO_COLOR is set; FORCE_COLOR overrules the terminal.
 */
import pc from "picocolors";
import { printable, printableJson } from "../printable.ts";

export type Colours = ReturnType<typeof pc.createColors>;

export interface Output {
  readonly json: boolean;
  /** The command's result: `value` as JSON, or `text()` for people. Called once a command. */
  result(value: unknown, text: () => string): void;
  /** A line for people, on stderr. */
  note(line: string): void;
  /** The same warning, of a later part of the command, is shown once. */
  warn(line: string): void;
}

/** Colours for `stream`, as plain text where they are not wanted. */
export function coloursFor(
  stream: { readonly isTTY?: boolean },
  env: NodeJS.ProcessEnv = process.env,
): Colours {
  const forced = env["FORCE_COLOR"] !== undefined && env["FORCE_COLOR"] !== "0";
  const wanted = !env["NO_COLOR"] && (forced || (stream.isTTY === true && env["TERM"] !== "dumb"));
  return pc.createColors(wanted);
}

/** What {@link coloursFor} writes: bold, dim, underlined, and the colours of letters. */
const COLOUR = /(\p{Cc}\[(?:0|1|2|4|2[24]|3[0-79]|9[0-7])m)/u;

/** Text with names of any origin, safe to show: colours stay where they are shown at all, other controls are signs. */
export function forTerminal(stream: { readonly isTTY?: boolean }, text: string): string {
  if (!coloursFor(stream).isColorSupported) return printable(text);
  return text
    .split(COLOUR)
    .map((part, i) => (i % 2 === 1 ? part : printable(part)))
    .join("");
}

/** Prints lines for people. Everything that is not a machine's goes through here. */
export function printLine(stream: NodeJS.WritableStream & { readonly isTTY?: boolean }, text: string): void {
  stream.write(`${forTerminal(stream, text)}\n`);
}

export function createOutput({ json = false }: { json?: boolean | undefined } = {}): Output {
  const colours = coloursFor(process.stderr);
  const note = (line: string): void => printLine(process.stderr, line);
  const warned = new Set<string>();
  return {
    json,
    note,
    warn(line) {
      if (!warned.has(line)) note(`${colours.yellow("warning:")} ${line}`);
      warned.add(line);
    },
    result(value, text) {
      if (json) process.stdout.write(`${printableJson(JSON.stringify(value, null, 2))}\n`);
      else printLine(process.stdout, text());
    },
  };
}
