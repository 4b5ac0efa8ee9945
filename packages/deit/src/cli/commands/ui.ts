/** `deit ui`: the page in a browser tab, and runs as they go. */
import { stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { Option } from "commander";
import { DeitError } from "../../errors.ts";
import { withInterrupt } from "../interrupt.ts";
import { coloursFor, createOutput } from "../output.ts";
import { wholeNumber } from "../whole-number.ts";

const PAGE = "deit-web";

export function addUiCommand(program: Command): void {
  program
    .command("ui")
    .description("Open the page (teach, try, understand), and watch runs, in a browser.")
    .argument("[run...]", "run folders to watch")
    .addOption(
      new Option("--port <N>", "port to listen on; 0: any that is free")
        .argParser(wholeNumber("port", 0))
        .default(4173),
    )
    .addHelpText(
      "after",
      `
The server accepts requests only from this machine, and reads only the given runs.
It shows their curves, speed and time left, side by side, and follows them while
they train.

Examples:
  deit ui
  deit ui runs/photos-deit_w64d4_patch4_32
  deit ui runs/*`,
    )
    .action(runUi);
}

async function runUi(runs: string[], { port }: { port: number }): Promise<void> {
  const output = createOutput();
  const { cyan, bold, dim, red } = coloursFor(process.stderr);
  const page = await builtPage();
  if (page === undefined && runs.length === 0)
    throw new DeitError(`the page is files of the package ${PAGE}, which are not here`, {
      code: "serve/no-page",
      hint: "In a clone of the repository npm run ui builds and serves it. Runs need no page: deit ui RUN",
    });
  const { startUi } = await import("../../serve/ui.ts");
  await withInterrupt(
    async (signal) => {
      await using server = await startUi({
        page,
        runs,
        port,
        onFault: (error, request) => output.note(`${red("error:")} ${request}: ${String(error)}`),
      });
      if (page !== undefined) output.note(`${bold("page")}  ${cyan(server.url)}`);
      if (server.runsUrl !== undefined) output.note(`${bold("runs")}  ${cyan(server.runsUrl)}`);
      output.note(dim("  Ctrl-C stops it"));
      if (!signal.aborted)
        await new Promise<void>((resolve) =>
          signal.addEventListener("abort", () => resolve(), { once: true }),
        );
    },
    () => {},
  );
}

/** The folder of the page's files, where its package is installed and built. */
async function builtPage(): Promise<string | undefined> {
  try {
    const folder = fileURLToPath(new URL("dist/", import.meta.resolve(`${PAGE}/package.json`)));
    return (await stat(`${folder}index.html`)).isFile() ? folder : undefined;
  } catch {
    return undefined;
  }
}
