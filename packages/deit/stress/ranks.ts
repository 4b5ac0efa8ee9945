/**
 * Training by two ranks of which one, either, is killed (SIGKILL) at a random moment, one to three times in a row, and then
 * run to its end: the other ranks end soon, nothing is left running, and the models are those of an undisturbed run.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createRandom } from "../src/random.ts";
import { CLI, MPIS, mpirun } from "../tests/ranks/mpi.ts";
import type { Ended, Mpi } from "../tests/ranks/mpi.ts";
import { rankProcesses } from "../tests/ranks/rank-processes.ts";
import { runContent, writePhotos } from "../tests/training/photos.ts";
import type { PartResult } from "./report.ts";

/** Seconds after a kill in which all ranks have to be gone, on a busy machine. */
const LONGEST_END = 20;

/** Kills `count` ranks, the MPIs of this machine in turns. */
export async function stressRanks({
  count,
  seed,
  onFault,
}: {
  count: number;
  seed: number;
  onFault: (text: string) => void;
}): Promise<PartResult> {
  if (MPIS.length === 0) throw new Error("no mpirun is installed");
  const random = createRandom(seed, "ranks");
  const root = await mkdtemp(join(tmpdir(), "deit-ranks-"));
  const faults: string[] = [];
  let [kills, worst] = [0, 0];
  const fault = (text: string): void => {
    faults.push(text);
    onFault(`rank kill ${kills}: ${text}`);
  };
  try {
    const photos = await writePhotos(join(root, "photos"), { perClass: 12 });
    const start = async (mpi: Mpi, folder: string, onStart?: (launcher: number) => void): Promise<Ended> =>
      mpirun(mpi, [...wordsOf(photos), "--output-dir", folder], {
        ranks: 2,
        onStart: ({ pid }) => onStart?.(pid ?? 0),
      });
    const [first] = MPIS;
    if (first === undefined) return { count: 0, faults, worstSeconds: 0, worstBytes: undefined };
    const whole = await start(first, join(root, "whole"));
    if (whole.code !== 0) throw new Error(`it does not work undisturbed: ${whole.stderr}`);
    const expected = JSON.stringify(await runContent(join(root, "whole")));
    for (let runs = 0; kills < count; runs++) {
      const folder = join(root, `run${runs}`);
      const mpi = MPIS[runs % MPIS.length] ?? first;
      for (let left = 1 + random.integer(3); left > 0 && kills < count; left--) {
        const { killedAfter, ended, pids } = await killed(async (onStart) => start(mpi, folder, onStart), {
          wait: random.uniform(0, whole.milliseconds),
          rank: random.integer(2),
        });
        if (killedAfter === undefined) {
          if (ended.code !== 0) fault(`it failed after a kill: ${ended.stderr.slice(-2000)}`);
          continue;
        }
        kills++;
        const seconds = (ended.milliseconds - killedAfter) / 1000;
        worst = Math.max(worst, seconds);
        if (seconds > LONGEST_END) fault(`${mpi.name}: ended ${seconds.toFixed(1)} s after the kill`);
        let alive = pids.filter(isAlive);
        // the launcher may end while the system still takes a killed process down
        for (let waited = 0; alive.length > 0 && waited < LONGEST_END; waited++) {
          await sleep(1000);
          alive = alive.filter(isAlive);
        }
        if (alive.length > 0) fault(`${mpi.name}: ranks are left running: ${alive.join(", ")}`);
      }
      const last = await start(mpi, folder);
      if (last.code !== 0)
        fault(`${mpi.name}: the next run failed (${String(last.code)}): ${last.stderr.slice(-2000)}`);
      else if (JSON.stringify(await runContent(folder)) !== expected)
        fault(`${mpi.name}: other models or another log`);
      await rm(folder, { recursive: true, force: true });
    }
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  return { count: kills, faults, worstSeconds: worst, worstBytes: undefined };
}

function wordsOf(photos: string): string[] {
  const model = [
    "--model",
    "deit_w64d4_patch4_32",
    "--input-size",
    "16",
    "--batch-size",
    "4",
    "--device",
    "cpu",
  ];
  const chance = ["--mixup", "0.8", "--cutmix", "1", "--reprob", "0.25", "--seed", "3"];
  return [CLI, "train", photos, ...model, ...chance, "--workers", "0", "--epochs", "4", "--save-steps", "2"];
}

/** Starts ranks and kills one of them some time later, if it is still there. */
async function killed(
  start: (onStart: (launcher: number) => void) => Promise<Ended>,
  { wait, rank }: { wait: number; rank: number },
): Promise<{ killedAfter: number | undefined; ended: Ended; pids: readonly number[] }> {
  const begun = performance.now();
  let killedAfter: number | undefined;
  let pids: readonly number[] = [];
  let timer: NodeJS.Timeout | undefined;
  const ended = await start((launcher) => {
    timer = setTimeout(() => {
      pids = rankProcesses(launcher);
      const pid = pids[rank];
      if (pid === undefined) return;
      process.kill(pid, "SIGKILL");
      killedAfter = performance.now() - begun;
    }, wait);
  });
  clearTimeout(timer);
  // One that had done its work, and ended well, was not disturbed.
  return { killedAfter: ended.code === 0 ? undefined : killedAfter, ended, pids };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
