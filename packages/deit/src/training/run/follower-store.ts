/** The run as the ranks other than rank 0 keep it: they write nothing, and know the log since they compute the same. */
import type { EpochRecord } from "./run-log.ts";
import type { RunStore } from "./run-store.ts";

/** `log`: the epochs so far. */
export function followerStore(
  path: string,
  { log: before, resumed }: Pick<RunStore, "log" | "resumed">,
): RunStore {
  const log: EpochRecord[] = [...before];
  return {
    path,
    resumed,
    log,
    staleModels: [],
    async appendEpoch(record) {
      log.push(record);
    },
    async saveState() {},
    async loadState() {
      return null; // rank 0 has it, and spreads it
    },
    async saveModel() {},
  };
}
