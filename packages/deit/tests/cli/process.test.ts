/** What only a process can show: exit codes, colours, pipes. What is printed is tested in run.test.ts. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const ESCAPE = String.fromCharCode(27);

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** `closePipe` closes stdout at once, as a reader does that wants no more. */
async function deit(
  words: readonly string[],
  { env = {}, closePipe = false }: { env?: Record<string, string>; closePipe?: boolean } = {},
): Promise<Outcome> {
  const child = spawn(process.execPath, [MAIN, ...words], { env: { PATH: process.env["PATH"], ...env } });
  let [out, err] = ["", ""];
  child.stdout.on("data", (data: Buffer) => (out += data.toString()));
  child.stderr.on("data", (data: Buffer) => (err += data.toString()));
  if (closePipe) child.stdout.destroy();
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, out, err };
}

it("deit alone tells where to start, without colours into a pipe", async () => {
  const { code, out, err } = await deit([]);
  expect([code, err]).toEqual([0, ""]);
  expect(out).toContain("deit train ./photos");
  expect(out).not.toContain(ESCAPE);
});

it("FORCE_COLOR colours help, NO_COLOR wins over it", async () => {
  expect((await deit(["train", "--help"], { env: { FORCE_COLOR: "1" } })).out).toContain(ESCAPE);
  expect((await deit(["train", "--help"], { env: { FORCE_COLOR: "1", NO_COLOR: "1" } })).out).not.toContain(
    ESCAPE,
  );
});

it("a wrong flag exits with 2 and leaves stdout empty", async () => {
  const { code, out, err } = await deit(["train", "--epoch", "3", "--json"]);
  expect([code, out]).toEqual([2, ""]);
  expect(err).toContain("(Did you mean --epochs?)");
});

it("a reader that goes away is not an error", async () => {
  expect(await deit(["train", "--json-schema"], { closePipe: true })).toMatchObject({ code: 0, err: "" });
});
