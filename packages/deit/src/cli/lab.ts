/** `deit analyze` and `deit bench` come from deit-ts-lab, a package of its own. Without it they say how to add it. */
import { registerHooks } from "node:module";
import type { Command } from "commander";
import { DeitError } from "../errors.ts";

export interface Lab {
  addLabCommands(program: Command): void;
}

const COMMANDS: Readonly<Record<string, string>> = {
  analyze: "Run the paper's analyses: attention, agreement, ablations, throughput (deit-ts-lab).",
  bench: "Benchmark this machine (deit-ts-lab).",
};
const NAME = "deit-ts-lab";

/** The lab when these words name one of its commands and it is installed. */
export async function labFor(words: readonly string[]): Promise<Lab | undefined> {
  return words.some((word) => word in COMMANDS) ? loadLab() : undefined;
}

export async function loadLab(): Promise<Lab | undefined> {
  // In a checkout that runs from its sources, the lab does, too, and uses these sources.
  if (import.meta.url.endsWith(".ts"))
    registerHooks({
      resolve: (name, context, next) =>
        next(name, { ...context, conditions: [...context.conditions, "deit-source"] }),
    });
  try {
    return (await import(`${NAME}/cli`)) as Lab;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    error.code === "ERR_MODULE_NOT_FOUND" &&
    error.message.includes(`'${NAME}'`)
  );
}

/** In place of the lab's commands: their names for the help, and the way to get them. */
export function addMissingCommands(program: Command): void {
  for (const [name, description] of Object.entries(COMMANDS))
    program
      .command(name)
      .description(description)
      .argument("[words...]")
      .helpOption(false)
      .allowUnknownOption()
      .action(() => {
        throw new DeitError(`deit ${name} is a command of ${NAME}, which is not installed`, {
          code: "lab/missing",
          hint: `npm install ${NAME}`,
        });
      });
}
