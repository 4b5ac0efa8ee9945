import { expect, test } from "vitest";
import { coresOfRank, launchOf } from "../../src/ranks/launcher.ts";

test("each launcher is known by its variables", () => {
  const openMpi = {
    OMPI_COMM_WORLD_RANK: "3",
    OMPI_COMM_WORLD_SIZE: "4",
    OMPI_COMM_WORLD_LOCAL_RANK: "1",
    OMPI_COMM_WORLD_LOCAL_SIZE: "2",
  };
  expect(launchOf(openMpi)).toEqual({ kind: "Open MPI", rank: 3, size: 4, localRank: 1, localSize: 2 });
  expect(launchOf({ PMI_RANK: "0", PMI_SIZE: "2" })).toMatchObject({
    kind: "MPICH",
    rank: 0,
    size: 2,
    localSize: 1,
  });
  const slurm = {
    SLURM_PROCID: "5",
    SLURM_STEP_NUM_TASKS: "8",
    SLURM_LOCALID: "1",
    SLURM_STEP_TASKS_PER_NODE: "4(x2)",
  };
  expect(launchOf({ ...slurm, PMI_RANK: "5", PMI_SIZE: "8" })).toEqual({
    kind: "Slurm",
    rank: 5,
    size: 8,
    localRank: 1,
    localSize: 4,
  });
});

test("a process by itself, the only rank and a batch script are none", () => {
  expect(launchOf({})).toBeUndefined();
  expect(launchOf({ PMI_RANK: "0", PMI_SIZE: "1" })).toBeUndefined();
  expect(launchOf({ SLURM_NTASKS: "8" })).toBeUndefined();
  expect(launchOf({ PMI_RANK: "", PMI_SIZE: "x" })).toBeUndefined();
});

test("a rank has its share of the cores, or those that it is bound to", () => {
  expect(coresOfRank({ localSize: 3 }, { usable: 8, all: 8 })).toBe(2);
  expect(coresOfRank({ localSize: 16 }, { usable: 8, all: 8 })).toBe(1);
  expect(coresOfRank({ localSize: 3 }, { usable: 4, all: 8 })).toBe(4);
});
