/**
 * The command tree and its help. What does a command's work is loaded when it runs, so that `deit --help` and a
 * mistyped flag answer at once.
 */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { kebabCase } from "../config/names.ts";
import { printable } from "../printable.ts";
import { addDataCommand } from "./commands/data.ts";
import { addDistillCommand } from "./commands/distill.ts";
import { addDoctorCommand } from "./commands/doctor.ts";
import { addEvalCommand } from "./commands/eval.ts";
import { addExportCommand } from "./commands/export.ts";
import { addFinetuneCommand } from "./commands/finetune.ts";
import { addModelsCommand } from "./commands/models.ts";
import { addPredictCommand } from "./commands/predict.ts";
import { addReportCommand } from "./commands/report.ts";
import { addServeCommand } from "./commands/serve.ts";
import { addTrainCommand } from "./commands/train.ts";
import { addUiCommand } from "./commands/ui.ts";
import { WideCommand } from "./help.ts";
import type { Lab } from "./lab.ts";
import { addMissingCommands } from "./lab.ts";
import { coloursFor } from "./output.ts";

/** Version of this package. */
export function packageVersion(): string {
  const file: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return typeof file === "object" && file !== null && "version" in file ? String(file.version) : "unknown";
}

/** @param lab its commands are real ones when it is given */
export function createProgram(lab?: Lab): Command {
  const out = coloursFor(process.stdout);
  const err = coloursFor(process.stderr);
  const program = new WideCommand("deit")
    .description("Train, evaluate and use DeiT image classifiers.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "help for a command")
    .configureHelp({
      styleTitle: (text) => out.bold(text),
      styleCommandText: (text) => out.cyan(text),
      styleOptionTerm: (text) => out.cyan(text),
      styleSubcommandTerm: (text) => out.cyan(text),
    })
    .configureOutput({
      getOutHasColors: () => out.isColorSupported,
      getErrHasColors: () => err.isColorSupported,
      outputError: (text, write) => write(printable(text).replace(/^error:/, err.red("error:"))),
    })
    .exitOverride();
  addTrainCommand(program);
  addFinetuneCommand(program);
  addDistillCommand(program);
  addEvalCommand(program);
  addPredictCommand(program);
  addExportCommand(program);
  addServeCommand(program);
  addUiCommand(program);
  addReportCommand(program);
  addModelsCommand(program);
  addDataCommand(program);
  if (lab === undefined) addMissingCommands(program);
  else lab.addLabCommands(program);
  addDoctorCommand(program);
  for (const command of program.commands) command.showHelpAfterError(`See: deit ${command.name()} --help`);
  return program.showHelpAfterError("See: deit --help");
}

/** `--data_path`, `--dataPath` → `--data-path`: an option has one name and three spellings. */
export function normaliseFlags(argv: readonly string[]): string[] {
  const end = argv.indexOf("--");
  return argv.map((word, i) => {
    if (!word.startsWith("--") || word.length === 2 || (end >= 0 && i > end)) return word;
    const [name = "", ...value] = word.slice(2).split("=");
    return [`--${kebabCase(name)}`, ...value].join("=");
  });
}

/** What `deit` alone says. */
export function overview(): string {
  const { bold, cyan, dim } = coloursFor(process.stdout);
  const width = Math.max(...[...START, ...MORE].map(([command]) => command.length));
  const lines = (rows: typeof START): string =>
    rows.map(([command, what]) => `  ${cyan(command.padEnd(width))}  ${what}\n`).join("");
  return (
    `${bold("deit")} ${dim(packageVersion())}  Train DeiT image classifiers on your own machine, without Python.\n\n` +
    `${bold("Start here")}\n${lines(START)}\n${bold("More")}\n${lines(MORE)}`
  );
}

const START: readonly (readonly [command: string, what: string])[] = [
  ["deit train ./photos", "your images, a folder per class"],
  ["deit finetune ./photos", "the same from pretrained weights"],
  ["deit distill ./images --teacher-path T", "images without classes, taught by a model"],
  ["deit train quickstart", "CIFAR-10, a few minutes"],
  ["deit predict RUN cat.jpg", "classify images"],
  ["deit eval RUN --data-path ./photos", "measure its accuracy"],
  ["deit export RUN", "a folder that transformers.js loads"],
  ["deit serve RUN", "HTTP for apps"],
];
const MORE: typeof START = [
  ["deit models", "list the models"],
  ["deit data pull cifar10", "get a dataset"],
  ["deit bench train", "benchmark this machine"],
  ["deit ui RUN", "watch runs in a browser"],
  ["deit doctor", "check devices and dependencies"],
  ["deit COMMAND --help", "all about a command"],
];
