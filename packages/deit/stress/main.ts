/**
 * Long runs that find what tests of seconds cannot; each part appends a row to results/reliability.csv.
 *
 *     npm run test:stress                      formats, kills and locks: hours
 *     npm run test:stress -- formats           100,000 damaged files of every format that is read
 *     npm run test:stress -- kills             300 SIGKILLs of training, exports, downloads, packing, predictions
 *     npm run test:stress -- locks             ten minutes of four processes that compete for a lock and are killed
 *     npm run test:stress -- ranks             50 ranks of training over MPI, killed at random moments
 *     npm run test:stress -- soak --photos DIR two hours of training and 200,000 predictions, whose memory is flat
 *     npm run test:stress -- serve             a server at twice the load that it was measured with, for --minutes (10)
 *
 * --seed N     another seed (default 0); what a seed finds is found again
 * --count N    files, kills, seconds of locks, or predictions
 * --only WORD  the kinds of files, or cases of kills, whose name holds it
 * --more       add to the last row of the part, which was run at the same version: a part in pieces
 * --data-path DIR, --minutes N, --out DIR      of the soak: CIFAR-10, how long, where its files go
 * --train "WORDS"                              of the soak: what deit train trains, such as "cifar10-distilled --teacher-path X"
 */
import { parseArgs } from "node:util";
import { stressFormats } from "./formats/run.ts";
import { CASES } from "./kills/cases.ts";
import { stressKills } from "./kills/run.ts";
import { stressLocks } from "./locks.ts";
import type { PartResult } from "./report.ts";
import { stressRanks } from "./ranks.ts";
import { record } from "./report.ts";
import { stressServe } from "./serve.ts";
import { soak } from "./soak.ts";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: "0" },
    count: { type: "string" },
    only: { type: "string", default: "" },
    more: { type: "boolean", default: false },
    photos: { type: "string", multiple: true, default: [] },
    "data-path": { type: "string" },
    minutes: { type: "string" },
    train: { type: "string" },
    out: { type: "string", default: "runs/soak" },
  },
});
const { only, more, photos, out } = values;
const seed = Number(values.seed);
const countOr = (usual: number): number => Number(values.count ?? usual);
const onFault = (text: string): void => console.error(text.slice(0, 2000));

async function keep(part: string, result: PartResult): Promise<void> {
  const { count, faults, worstSeconds, worstBytes = 0 } = result;
  console.log(
    `${part}: ${count}, ${faults.length} faults, ${worstSeconds.toFixed(2)} s and ${Math.round(worstBytes / 1e6)} MB at worst`,
  );
  if (faults.length > 0) process.exitCode = 1;
  const words = process.argv.slice(2).filter((word) => word !== "--more" && !word.includes("/"));
  await record({ part, seed, command: `npm run test:stress -- ${words.join(" ")}`.trim(), more }, result);
}

/** Each part by its name. */
const PARTS: Readonly<Record<string, () => Promise<void>>> = {
  async formats() {
    const result = await stressFormats({ count: countOr(100_000), seed, kind: only, onFault });
    for (const [key, count] of [...result.tallies].toSorted(([a], [b]) => (a < b ? -1 : 1)))
      console.log(`${String(count).padStart(6)}  ${key}`);
    for (const [kind, { total, milliseconds, bytes }] of result.worst)
      console.log(
        `${kind}: ${Math.round(total)} ms together, ${Math.round(milliseconds)} ms and ${Math.round(bytes / 1e6)} MB at worst`,
      );
    await keep("formats", result);
  },
  async kills() {
    const cases = CASES.filter(({ name }) => name.includes(only));
    for (const [i, one] of cases.entries()) {
      const total = countOr(300);
      const count = Math.floor((total * (i + 1)) / cases.length) - Math.floor((total * i) / cases.length);
      await keep(`kills: ${one.name}`, await stressKills(one, { count, seed, onFault }));
    }
  },
  async locks() {
    await keep("locks", await stressLocks({ seconds: countOr(600), seed, onFault }));
  },
  async ranks() {
    await keep("ranks", await stressRanks({ count: countOr(50), seed, onFault }));
  },
  async serve() {
    const minutes = Number(values.minutes ?? 10);
    const result = await stressServe({ photos, out: values.out, minutes, seed });
    result.faults.forEach(onFault);
    await keep("serve", result);
  },
  async soak() {
    const [minutes, images] = [Number(values.minutes ?? 120), countOr(200_000)];
    for (const { name, ...result } of await soak({
      dataPath: values["data-path"],
      photos,
      out,
      minutes,
      images,
      train: values.train?.split(" "),
    })) {
      result.faults.forEach(onFault);
      await keep(`soak: ${name}`, result);
    }
  },
};

const chosen = positionals.length > 0 ? positionals : ["formats", "kills", "locks"];
const unknown = chosen.find((part) => PARTS[part] === undefined);
if (unknown !== undefined) {
  console.error(`there is no part ${unknown}: expected ${Object.keys(PARTS).join(", ")}`);
  process.exit(2);
}
for (const part of chosen) await PARTS[part]?.();
