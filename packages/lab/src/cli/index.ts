/** `deit-ts-lab/cli`: the commands that the lab adds to `deit`. */
import type { Command } from "commander";
import { addAnalyzeCommand } from "./analyze/index.ts";
import { addBenchCommand } from "./bench.ts";

/** What `deit` calls when one of these commands is named, or their help. */
export function addLabCommands(program: Command): void {
  addAnalyzeCommand(program);
  addBenchCommand(program);
}
