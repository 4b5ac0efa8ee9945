/**
 * Where the command line's words go: results to stdout (one JSON document with --json), everything else to
 * stderr. Colours where the stream is a terminal, unless NO_COLOR is set; FORCE_COLOR overrules the terminal.
 */
import pc from "picocolors";

export type Colours = ReturnType<typeof pc.createColors>;

export interface Output {
  readonly json: boolean;
  /** The command's result: `value` as JSON, or `text()` for people. Called once a command. */
  result(value: unknown, text: () => string): void;
  /** A line for people, on stderr. */
  note(line: string): void;
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

export function createOutput({ json = false }: { json?: boolean | undefined } = {}): Output {
  const colours = coloursFor(process.stderr);
  const note = (line: string): void => void process.stderr.write(`${line}\n`);
  return {
    json,
    note,
    warn: (line) => note(`${colours.yellow("warning:")} ${line}`),
    result: (value, text) =>
      void process.stdout.write(json ? `${JSON.stringify(value, null, 2)}\n` : `${text()}\n`),
  };
}
