/** The command line in this process. */
import { vi } from "vitest";
import { run } from "../../src/cli/invocation.ts";

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `deit` with the words, without colours, and catches what it prints. */
export async function runCommand(words: readonly string[]): Promise<Outcome> {
  const colours = process.env["NO_COLOR"];
  vi.stubEnv("NO_COLOR", "1");
  const said = { out: "", err: "" };
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((said.out += String(text)), true));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => ((said.err += String(text)), true));
  const code = await run(words);
  vi.restoreAllMocks();
  vi.stubEnv("NO_COLOR", colours);
  return { code, ...said };
}
