/**
 * The study of recipes/ablation-cifar10.ts as docs/log.md ran it; takes every flag of the command behind it:
 *
 *   node scripts/ablation.ts --epochs 4 --seeds 0,1,2
 *   deit analyze ablation --table ablation-cifar10 --epochs 4 --seeds 0,1,2 --out runs/ablation-cifar10      the same
 */
import { run } from "../src/cli/run.ts";

const study =
  "analyze ablation --table ablation-cifar10 --epochs 4 --seeds 0,1,2 --out runs/ablation-cifar10";
process.exitCode = await run([...study.split(" "), ...process.argv.slice(2)]);
