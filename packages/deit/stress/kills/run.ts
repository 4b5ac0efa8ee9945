/**
 * Commands that are killed (SIGKILL) at random moments, one to three times in a row, and then run to their end: nothing may
 * be half there after a kill, nothing lost, other or left over at the end, and no lock may be waited for.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom } from "../../src/random.ts";
import type { PartResult } from "../report.ts";
import type { Life } from "./moment.ts";
import { live } from "./moment.ts";
import type { KillCase } from "./cases.ts";
import { differences, tree } from "./tree.ts";

/** Kills `count` times. `seed` gives the moments, as far as a busy machine lets it. */
export async function stressKills(
  { name, prepare }: KillCase,
  { count, seed, onFault = () => {} }: { count: number; seed: number; onFault?: (text: string) => void },
): Promise<PartResult> {
  const random = createRandom(seed, "kills", name);
  const root = await mkdtemp(join(tmpdir(), "deit-kills-"));
  const faults: string[] = [];
  let [kills, worst] = [0, 0];
  const fault = (text: string): void => {
    faults.push(text);
    onFault(`${name}, kill ${kills}: ${text}`);
  };
  const subject = await prepare(root);
  try {
    const folder = join(root, "work");
    const begin = async (): Promise<void> => {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder);
      await subject.begin(folder);
    };
    const { env, ignore } = subject;
    const args = subject.args(folder);
    await begin();
    const whole = await live(args, { folder, env });
    if (whole.code !== 0) throw new Error(`${name} does not work: ${whole.stderr}`);
    const life: Life = whole;
    const expected = await tree(folder, ignore);
    const facts = await subject.facts?.(folder);
    while (kills < count) {
      await begin();
      const row = 1 + random.integer(3);
      let state: unknown;
      for (let i = 0; i < row && kills < count; i++) {
        const { killed, code, stderr } = await live(args, { folder, env, kill: { life, random } });
        if (!killed && code !== 0 && subject.once !== true) fault(`it failed after a kill: ${stderr}`);
        if (!killed) continue;
        kills++;
        for (const text of await subject.check(folder, { expected, before: state })) fault(text);
        state = await subject.progress?.(folder);
      }
      const end = await live(args, { folder, env });
      worst = Math.max(worst, end.milliseconds / 1000);
      // where the killed one was done already, and is not to be done twice
      if (subject.once === true && differences(await tree(folder, ignore), expected).length === 0) continue;
      if (end.code !== 0) fault(`the next run failed (${String(end.code)}): ${end.stderr}`);
      else {
        for (const text of differences(await tree(folder, ignore), expected)) fault(text);
        for (const text of differences((await subject.facts?.(folder)) ?? {}, facts ?? {})) fault(text);
      }
    }
  } finally {
    await subject.close?.();
    await rm(root, { recursive: true, force: true });
  }
  return { count: kills, faults, worstSeconds: worst, worstBytes: undefined };
}
