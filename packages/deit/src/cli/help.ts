/** Help as it is laid out: text as wide as the terminal, and for commands with many flags a short list of those that matter. */
import { Command, Help } from "commander";
import type { AddHelpTextContext, AddHelpTextPosition, Option } from "commander";

/** Lines longer than this are hard to read. */
const WIDEST = 100;

/** The width of the help: the terminal's, or 80 where there is none. */
export function helpWidth(stream: { readonly columns?: number } = process.stdout): number {
  return Math.min(WIDEST, Math.max(40, stream.columns ?? 80));
}

/** Paragraphs broken anew at a width; lines that are indented (examples) and their headings stay as they are. */
export function reflow(text: string, width: number): string {
  return text
    .split(/(\n{2,})/)
    .map((part) => {
      const [, start = "", prose = ""] = /^(\n*)(.*)$/s.exec(part) ?? [];
      return /^\s/m.test(prose) ? part : start + filled(prose.replaceAll("\n", " "), width);
    })
    .join("");
}

function filled(text: string, width: number): string {
  const lines = [""];
  for (const word of text.split(/ +/)) {
    const line = lines.at(-1) ?? "";
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}

/** A command whose texts after the help are as wide as the terminal. So are those of its own commands. */
export class WideCommand extends Command {
  override createCommand(name?: string): Command {
    return new WideCommand(name);
  }

  override addHelpText(position: AddHelpTextPosition, text: string): this;
  override addHelpText(position: AddHelpTextPosition, text: (context: AddHelpTextContext) => string): this;
  override addHelpText(
    position: AddHelpTextPosition,
    text: string | ((context: AddHelpTextContext) => string),
  ): this {
    return super.addHelpText(position, (context) =>
      reflow(typeof text === "function" ? text(context) : text, helpWidth()),
    );
  }
}

/** Makes --help show the named flags alone, and adds --help-all for the rest. */
export function addShortHelp(command: Command, shown: ReadonlySet<string>): void {
  let isWhole = false;
  command
    .option("--help-all", "print every flag")
    .on("option:help-all", () => {
      isWhole = true;
      command.help();
    })
    .addHelpText("after", () =>
      isWhole ? "" : "\nThese are the most important flags; --help-all prints all of them.",
    )
    .configureHelp({
      ...command.configureHelp(), // its colours
      visibleOptions(of) {
        const options = new Help().visibleOptions(of);
        if (isWhole) return options;
        // In one list: a heading for each would be half of it.
        return options
          .filter(({ long }) => long !== undefined && shown.has(long))
          .map((option) => Object.assign(Object.create(option) as Option, { helpGroupHeading: "Options:" }));
      },
    });
}
