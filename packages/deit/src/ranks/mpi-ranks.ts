/**
 * Ranks over MPI. Nothing blocks: a request is begun and asked about until it is done, so that timers and signals are heard,
 * and a rank that never comes is noticed. Node only.
 */
import { writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { DeitError } from "../errors.ts";
import type { Launch } from "./launcher.ts";
import { launchOf } from "./launcher.ts";
import { loadMpi } from "./mpi-library.ts";
import type { MpiLibrary, Request } from "./mpi-library.ts";
import type { Message, Numbers, Ranks, WaitOptions } from "./ranks.ts";

/** Variable that names a file for the process number of rank 0, for whoever started the ranks on this machine. */
export const FIRST_RANK_FILE = "DEIT_FIRST_RANK_FILE";

/** Default of --rank-timeout, in seconds. */
export const RANK_TIMEOUT = 60;

/** How long a request is asked about without a pause, and then with one. Others may need the core. */
const EAGER_MS = 3;
const PAUSE_MS = 1;
/** How long a rank that waits in vain listens for the others that do. */
const LISTEN_MS = 2000;
/** How long the others of them leave the first one to tell. */
const TELL_MS = 3000;

/** The ranks that this process is one of. */
export interface RankGroup extends Ranks {
  readonly launch: Launch;
  /** `Open MPI v4.1.4 (libmpi.so.40)`. */
  readonly library: string;
  /** Milliseconds that a rank waits for the others. */
  timeout: number;
  /** Leaves when all ranks do. What this process does later is not a rank's work. */
  leave(): Promise<void>;
  /** Ends the processes of all ranks with this exit code. */
  abort(code: number): void;
}

/** MPI can be initialised once in a process. */
let joined: Promise<RankGroup> | undefined;
let open: RankGroup | undefined;

/**
 * Joins the other ranks; undefined in a process that no launcher started, or started alone.
 * @throws DeitError without koffi or MPI, and when the launcher is that of another MPI
 */
export async function joinRanks(env: NodeJS.ProcessEnv = process.env): Promise<RankGroup | undefined> {
  const launch = launchOf(env);
  if (launch === undefined) return undefined;
  joined ??= openGroup(launch, env);
  return joined;
}

/** The ranks that were joined and not left. */
export function openRanks(): RankGroup | undefined {
  return open;
}

async function openGroup(launch: Launch, env: NodeJS.ProcessEnv): Promise<RankGroup> {
  const mpi = loadMpi(launch.kind);
  mpi.init();
  const { rank, size } = mpi;
  if (size !== launch.size) {
    throw new DeitError(
      `the launcher (${launch.kind}) started ${launch.size} processes, and ${mpi.name} sees ${size}`,
      {
        code: "ranks/other-mpi",
        hint: "Start with the mpirun of the same MPI, or name its library in DEIT_MPI_LIBRARY.",
      },
    );
  }
  const group = new Group(mpi, launch, { rank, size });
  open = group;
  await group.introduce();
  const file = env[FIRST_RANK_FILE];
  if (file !== undefined && rank === 0) await writeFile(file, String(process.pid));
  return group;
}

class Group implements RankGroup {
  readonly launch: Launch;
  readonly rank: number;
  readonly size: number;
  timeout = RANK_TIMEOUT * 1000;
  private readonly mpi: MpiLibrary;
  private readonly errors = new WeakSet<object>();
  private names: readonly string[] = [];
  private hasPinged = false;

  constructor(mpi: MpiLibrary, launch: Launch, { rank, size }: { rank: number; size: number }) {
    this.mpi = mpi;
    this.launch = launch;
    this.rank = rank;
    this.size = size;
  }

  get library(): string {
    return this.mpi.name;
  }

  name(rank: number): string {
    return `rank ${rank} (${this.names[rank] ?? "unknown"})`;
  }

  async introduce(): Promise<void> {
    const names = await this.gather(`${hostname()}, process ${process.pid}`, { patience: START_PATIENCE });
    this.names = names.map(String);
  }

  async sum(vectors: readonly Numbers[], options?: WaitOptions): Promise<void> {
    await this.wait(
      vectors.map((vector) => this.mpi.startSum(vector)),
      options,
    );
  }

  async spread(vectors: readonly Numbers[], options?: WaitOptions): Promise<void> {
    await this.wait(
      vectors.map((vector) => this.mpi.startBroadcast(vector, 0)),
      options,
    );
  }

  async gather(value: Message, options?: WaitOptions): Promise<Message[]> {
    const own = new TextEncoder().encode(JSON.stringify(value));
    const lengths = new Float64Array(this.size);
    lengths[this.rank] = own.length;
    await this.sum([lengths], options);
    const texts = Array.from(lengths, (length, rank) => (rank === this.rank ? own : new Uint8Array(length)));
    await this.wait(
      texts.map((text, rank) => this.mpi.startBroadcast(text, rank)),
      options,
    );
    return texts.map((text) => JSON.parse(new TextDecoder().decode(text)) as Message);
  }

  async meet(options?: WaitOptions): Promise<void> {
    await this.sum([new Float64Array(1)], options);
  }

  shared<E>(error: E): E {
    if (typeof error === "object" && error !== null) this.errors.add(error);
    return error;
  }

  isShared(error: unknown): boolean {
    return typeof error === "object" && error !== null && this.errors.has(error);
  }

  async leave(): Promise<void> {
    if (open !== this) return;
    await this.meet({ patience: LONG_PATIENCE });
    this.mpi.finalize();
    open = undefined;
  }

  abort(code: number): void {
    this.mpi.abort(code);
  }

  /** @throws DeitError when not all ranks come within the time */
  private async wait(requests: readonly Request[], { patience = 1 }: WaitOptions = {}): Promise<void> {
    const start = performance.now();
    for (const request of requests) {
      const begun = performance.now();
      while (!this.mpi.isDone(request)) {
        const now = performance.now();
        if (now - start > patience * this.timeout) throw await this.missing(now - start);
        // Data of a request that others have begun moves only while it is asked about.
        if (now - begun < EAGER_MS || request.memory.length > LARGE) await turn();
        else {
          await sleep(PAUSE_MS);
          this.answerPings();
        }
      }
    }
  }

  /** A rank that is asked whether it waits, too, says so. */
  private answerPings(): void {
    if (this.hasPinged || !this.others().some((rank) => this.mpi.wasPinged(rank))) return;
    this.pingAll();
  }

  private pingAll(): void {
    if (this.hasPinged) return;
    this.hasPinged = true;
    for (const rank of this.others()) this.mpi.ping(rank);
  }

  private others(): number[] {
    return Array.from({ length: this.size }, (_, rank) => rank).filter((rank) => rank !== this.rank);
  }

  /** Who is it that does not come: those that do not say that they wait. */
  private async missing(waited: number): Promise<DeitError> {
    this.pingAll();
    const waiting = new Set([this.rank]);
    const until = performance.now() + LISTEN_MS;
    while (performance.now() < until && waiting.size < this.size) {
      for (const rank of this.others()) if (this.mpi.wasPinged(rank)) waiting.add(rank);
      await sleep(10);
    }
    const silent = this.others().filter((rank) => !waiting.has(rank));
    if (Math.min(...waiting) !== this.rank) await sleep(TELL_MS); // the first of them tells, and ends all
    const who = silent.length === 0 ? "the network" : silent.map((rank) => this.name(rank)).join(", ");
    return new DeitError(
      `no progress for ${Math.round(waited / 1000)} s: ${this.name(this.rank)} waits for ${who}`,
      {
        code: "ranks/no-progress",
        hint: "All ranks were ended; the same command resumes from the last save. A rank that may take longer needs a larger --rank-timeout.",
      },
    );
  }
}

/** Ranks may be started one after another, and read from a cold disk. */
const START_PATIENCE = 10;
/** For a rank that saves or writes a report while others wait. */
const LONG_PATIENCE = 10;
/** Vectors of more numbers than this are data, not signs. */
const LARGE = 4096;
