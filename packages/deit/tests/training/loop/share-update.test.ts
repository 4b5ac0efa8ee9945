/** What ranks exchange in an update, with ranks that are promises of one process. */
import { describe, expect, test } from "vitest";
import { DeviceError } from "../../../src/errors.ts";
import type { ProgramFacts } from "../../../src/graph/program.ts";
import { fromFirst, gatherParts } from "../../../src/ranks/ranks.ts";
import type { Message, Numbers, Ranks } from "../../../src/ranks/ranks.ts";
import { coresOfRank, launchOf } from "../../../src/ranks/launcher.ts";
import type { StepResults } from "../../../src/training/loop/step-groups.ts";
import { ownBatches, shareUpdates } from "../../../src/training/loop/share-update.ts";
import type { SharedUpdate } from "../../../src/training/loop/share-update.ts";

/** So many ranks; each call waits until all have made it. */
function ranksHere(size: number): Ranks[] {
  let arrived: { values: unknown[]; resolve: (values: unknown[]) => void }[] = [];
  const exchange = async (rank: number, value: unknown): Promise<unknown[]> =>
    new Promise((resolve) => {
      arrived[rank] = { values: [value], resolve };
      if (Object.keys(arrived).length < size) return;
      const all = arrived;
      arrived = [];
      for (const each of all) each.resolve(all.flatMap(({ values }) => values));
    });
  return Array.from({ length: size }, (_, rank): Ranks => {
    const errors = new WeakSet();
    return {
      rank,
      size,
      name: (other) => `rank ${other}`,
      async sum(vectors) {
        const all = (await exchange(
          rank,
          vectors.map((vector) => vector.slice()),
        )) as Numbers[][];
        for (const [k, vector] of vectors.entries())
          for (const i of vector.keys()) vector[i] = all.reduce((sum, own) => sum + (own[k]?.[i] ?? 0), 0);
      },
      async spread(vectors) {
        const [first] = (await exchange(
          rank,
          vectors.map((vector) => vector.slice()),
        )) as Numbers[][];
        for (const [k, vector] of vectors.entries()) vector.set(first?.[k] ?? []);
      },
      gather: async (value) => (await exchange(rank, value)) as Message[],
      meet: async () => void (await exchange(rank, null)),
      shared(error) {
        errors.add(error as object);
        return error;
      },
      isShared: (error) => errors.has(error as object),
    };
  });
}

const program = {
  name: "grad",
  target: "cpu",
  inputs: {},
  outputs: {
    loss: { dtype: "float32", shape: [] },
    "G.a.next": { dtype: "float32", shape: [2] },
    "W.s.next": { dtype: "float32", shape: [1] },
  },
  state: { "G.a": "G.a.next", "W.a": null, "W.s": "W.s.next" },
} as const satisfies ProgramFacts;

/** Three batches of an update on two ranks: rank 0 has the first and the last. */
async function update(
  results: readonly StepResults[],
  wishes: readonly { stop: boolean; save: boolean }[] = results.map(() => ({ stop: false, save: false })),
): Promise<{ shared: SharedUpdate; state: Map<string, Float32Array>; ranks: Ranks }[]> {
  return Promise.all(
    ranksHere(2).map(async (ranks, i) => {
      const state = new Map<string, Float32Array>([
        ["G.a", Float32Array.of(1 + i, 0.5)],
        ["W.s", Float32Array.of(10 * i)],
      ]);
      const runtime = {
        getState: async (name: string) => (state.get(name) ?? new Float32Array()).slice(),
        setState: async (name: string, value: Float32Array) => void state.set(name, value),
      };
      const share = shareUpdates({ ranks, runtime, program, batches: 3 });
      const own = results[i] ?? { results: [], failure: undefined };
      const shared = await share(own, wishes[i] ?? { stop: false, save: false });
      return { shared, state, ranks };
    }),
  );
}

const losses = (...values: number[]): StepResults => ({
  results: values.map((value) => ({ loss: Float32Array.of(value) })),
  failure: undefined,
});

describe("an update of three batches on two ranks", () => {
  test("gradients are summed, statistics averaged, losses in the order of the batches, whatever they are", async () => {
    const both = await update(
      [losses(1, 3), losses(Number.NaN)],
      [
        { stop: false, save: true },
        { stop: true, save: false },
      ],
    );
    for (const { shared, state } of both) {
      expect(state.get("G.a")).toEqual(Float32Array.of(3, 1));
      expect(state.get("W.s")).toEqual(Float32Array.of(5));
      expect(shared.results.map(({ loss }) => loss?.[0])).toEqual([1, Number.NaN, 3]);
      expect([shared.stop, shared.save, shared.failure]).toEqual([true, true, undefined]);
    }
  });

  test("the memory of one is not enough: all know whose, and the gradients are left", async () => {
    const error = new DeviceError("cpu", "out of memory\nless", {
      code: "device/out-of-memory",
      outOfMemory: true,
    });
    const both = await update([losses(1, 3), { results: [], failure: { error } }]);
    for (const { shared, state, ranks } of both) {
      expect(shared.results).toEqual([]);
      expect(shared.failure?.error).toMatchObject({
        message: "rank 1: out of memory\nless",
        code: "device/out-of-memory",
        outOfMemory: true,
      });
      expect(ranks.isShared(shared.failure?.error)).toBe(true);
      expect(state.get("G.a")?.[1]).toBe(0.5);
    }
  });

  test("a rank has every second batch from its own on", () => {
    expect([0, 1, 3, 4].map((step) => ownBatches(step, { batches: 3, size: 2 }))).toEqual([2, 1, 2, 1]);
  });
});

test("parts of all ranks come in their order", async () => {
  const own = [[Float64Array.of(1, 2), Float64Array.of(5, 6)], [Float64Array.of(3, 4)]];
  const found = await Promise.all(
    ranksHere(2).map(async (ranks, i) => gatherParts(ranks, own[i] ?? [], { count: 3, length: 2 })),
  );
  for (const parts of found)
    expect(parts.map((part) => [...part])).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
});

test("an error of rank 0 is every rank's", async () => {
  const found = await Promise.allSettled(
    ranksHere(3).map(async (ranks) => fromFirst(ranks, async () => Promise.reject(new Error("no folder")))),
  );
  expect(found.map((each) => each.status === "rejected" && (each.reason as Error).message)).toEqual([
    "no folder",
    "no folder",
    "no folder",
  ]);
  const values = await Promise.all(
    ranksHere(3).map(async (ranks) => fromFirst(ranks, async () => ranks.rank)),
  );
  expect(values).toEqual([0, 0, 0]);
});

describe("a launcher", () => {
  test.each<[Record<string, string>, unknown]>([
    [{}, undefined],
    [
      {
        OMPI_COMM_WORLD_RANK: "1",
        OMPI_COMM_WORLD_SIZE: "4",
        OMPI_COMM_WORLD_LOCAL_SIZE: "2",
        OMPI_COMM_WORLD_LOCAL_RANK: "1",
      },
      { kind: "Open MPI", rank: 1, size: 4, localRank: 1, localSize: 2 },
    ],
    [
      { PMI_RANK: "0", PMI_SIZE: "2", MPI_LOCALNRANKS: "2", MPI_LOCALRANKID: "0" },
      { kind: "MPICH", rank: 0, size: 2, localRank: 0, localSize: 2 },
    ],
    [
      {
        SLURM_PROCID: "5",
        SLURM_STEP_NUM_TASKS: "8",
        SLURM_STEP_TASKS_PER_NODE: "4(x2)",
        SLURM_LOCALID: "1",
        PMI_RANK: "5",
        PMI_SIZE: "8",
      },
      { kind: "Slurm", rank: 5, size: 8, localRank: 1, localSize: 4 },
    ],
    // a batch script, not one of its job steps
    [{ SLURM_PROCID: "0", SLURM_NTASKS: "8" }, undefined],
    [{ OMPI_COMM_WORLD_RANK: "0", OMPI_COMM_WORLD_SIZE: "1" }, undefined],
  ])("is known by its variables: %j", (env, expected) => {
    expect(launchOf(env)).toEqual(expected);
  });

  test("leaves a rank its share of the cores, or those that it bound it to", () => {
    expect(coresOfRank({ localSize: 3 }, { usable: 8, all: 8 })).toBe(2);
    expect(coresOfRank({ localSize: 4 }, { usable: 2, all: 2 })).toBe(1);
    expect(coresOfRank({ localSize: 4 }, { usable: 3, all: 8 })).toBe(3);
  });
});
