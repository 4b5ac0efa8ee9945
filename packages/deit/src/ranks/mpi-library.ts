/**
 * The few functions of MPI that training needs, called through koffi, an optional peer. Open MPI's handles are addresses of
 * symbols of its library; those of MPICH, and of the libraries with its binary interface, are the integers of its mpi.h.
 */
import { createRequire } from "node:module";
import { DeitError, firstLine } from "../errors.ts";
import type { LauncherKind } from "./launcher.ts";
import type { Numbers } from "./ranks.ts";

export const KOFFI = "koffi";

const require = createRequire(import.meta.url);

/** A request that is under way, and the memory that it reads and writes. */
export interface Request {
  readonly handle: BigInt64Array;
  readonly memory: Numbers | Uint8Array;
}

export interface MpiLibrary {
  /** `Open MPI v4.1.4 (libmpi.so.40)`. */
  readonly name: string;
  init(): void;
  readonly rank: number;
  readonly size: number;
  startSum(numbers: Numbers): Request;
  startBroadcast(memory: Numbers | Uint8Array, from: number): Request;
  /** Whether it is done; moves all requests forward. */
  isDone(request: Request): boolean;
  /** Sends one byte to a rank; nobody waits until it is received. */
  ping(to: number): void;
  /** Whether such a byte has come from that rank. */
  wasPinged(from: number): boolean;
  finalize(): void;
  /** Ends the processes of all ranks. Does not return. */
  abort(code: number): void;
}

type Native = (...args: readonly unknown[]) => number;
interface NativeLibrary {
  func(name: string, result: string, args: readonly string[]): Native;
  symbol(name: string): bigint;
}
interface Koffi {
  load(path: string, options: { global: boolean }): NativeLibrary;
  address(value: ArrayBufferView): bigint;
}

/** File names of the libraries, the likely ones first. */
const OPEN_MPI = ["libmpi.so.40", "libmpi.so", "libmpi.40.dylib", "libmpi.dylib"];
const MPICH = [
  "libmpich.so.12",
  "libmpi.so.12",
  "libmpich.so",
  "libmpi.so",
  "libmpi.12.dylib",
  "libmpi.dylib",
];

/** What differs between the two kinds of libraries. */
interface Handles {
  readonly type: "int" | "intptr_t";
  readonly world: number | bigint;
  readonly float32: number | bigint;
  readonly float64: number | bigint;
  readonly byte: number | bigint;
  readonly sum: number | bigint;
  readonly inPlace: number;
  readonly ignoreStatus: number;
}

function openMpiHandles(library: NativeLibrary): Handles {
  return {
    type: "intptr_t",
    world: library.symbol("ompi_mpi_comm_world"),
    float32: library.symbol("ompi_mpi_float"),
    float64: library.symbol("ompi_mpi_double"),
    byte: library.symbol("ompi_mpi_byte"),
    sum: library.symbol("ompi_mpi_op_sum"),
    inPlace: 1,
    ignoreStatus: 0,
  };
}

const MPICH_HANDLES: Handles = {
  type: "int",
  world: 0x44000000,
  float32: 0x4c00040a,
  float64: 0x4c00080b,
  byte: 0x4c00010d,
  sum: 0x58000003,
  inPlace: -1,
  ignoreStatus: 1,
};

/** @throws DeitError without koffi */
export function requireKoffi(): Koffi {
  try {
    return require(KOFFI) as Koffi;
  } catch (cause) {
    throw new DeitError(
      `training in several processes needs the npm package ${KOFFI}, which cannot be loaded`,
      {
        code: "ranks/no-koffi",
        hint: `Add it beside deit-ts with: npm install ${KOFFI} (no compiler is needed, and it works with --ignore-scripts).`,
        cause,
      },
    );
  }
}

/**
 * Loads the library of the MPI that started this process, or the one that DEIT_MPI_LIBRARY names.
 * @throws DeitError without koffi, or without such a library
 */
export function loadMpi(launcher: LauncherKind, env: NodeJS.ProcessEnv = process.env): MpiLibrary {
  const koffi = requireKoffi();
  const named = env["DEIT_MPI_LIBRARY"];
  const usual = launcher === "MPICH" ? MPICH : [...OPEN_MPI, ...(launcher === "Slurm" ? MPICH : [])];
  const candidates = named === undefined ? usual : [named];
  const failures: string[] = [];
  for (const file of new Set(candidates)) {
    try {
      return bind(koffi, koffi.load(file, { global: true }), file);
    } catch (error) {
      failures.push(firstLine(error));
    }
  }
  throw new DeitError(
    `this process was started by ${launcher}, and its library cannot be loaded: ${failures[0] ?? ""}`,
    {
      code: "ranks/no-mpi",
      hint: `Looked for: ${candidates.join(", ")}. Debian: apt-get install ${launcher === "MPICH" ? "mpich" : "openmpi-bin"}; elsewhere name the file in DEIT_MPI_LIBRARY.`,
    },
  );
}

function bind(koffi: Koffi, library: NativeLibrary, file: string): MpiLibrary {
  const version = versionOf(library);
  const isOpenMpi = version.startsWith("Open MPI");
  const h = isOpenMpi ? openMpiHandles(library) : MPICH_HANDLES;
  const [pointer, handle] = ["intptr_t", h.type];
  const define = (name: string, ...args: string[]): Native => library.func(name, "int", args);
  const functions = {
    init: define("MPI_Init_thread", pointer, pointer, "int", pointer),
    rank: define("MPI_Comm_rank", handle, pointer),
    size: define("MPI_Comm_size", handle, pointer),
    allreduce: define("MPI_Iallreduce", pointer, pointer, "int", handle, handle, handle, pointer),
    broadcast: define("MPI_Ibcast", pointer, "int", handle, "int", handle, pointer),
    send: define("MPI_Isend", pointer, "int", handle, "int", "int", handle, pointer),
    probe: define("MPI_Iprobe", "int", "int", handle, pointer, pointer),
    test: define("MPI_Test", pointer, pointer, pointer),
    abort: define("MPI_Abort", handle, "int"),
    finalize: define("MPI_Finalize"),
  };
  const { address } = koffi;
  const number = new Int32Array(1);
  const at = address(number);
  const read = (call: Native, ...args: readonly unknown[]): number => {
    call(...args);
    return number[0] ?? 0;
  };
  const typeOf = (memory: Numbers | Uint8Array): number | bigint =>
    memory instanceof Uint8Array ? h.byte : memory instanceof Float32Array ? h.float32 : h.float64;
  const start = (memory: Numbers | Uint8Array, call: (request: bigint) => number): Request => {
    const request = new BigInt64Array(1);
    call(address(request));
    return { handle: request, memory };
  };
  /** Sent bytes are kept until the end: a rank that hangs never takes them. */
  const pings: Request[] = [];
  return {
    name: `${version} (${file})`,
    init: () => void functions.init(0, 0, THREAD_FUNNELED, at),
    get rank() {
      return read(functions.rank, h.world, at);
    },
    get size() {
      return read(functions.size, h.world, at);
    },
    startSum: (numbers) =>
      start(numbers, (request) =>
        functions.allreduce(
          h.inPlace,
          address(numbers),
          numbers.length,
          typeOf(numbers),
          h.sum,
          h.world,
          request,
        ),
      ),
    startBroadcast: (memory, from) =>
      start(memory, (request) =>
        functions.broadcast(address(memory), memory.length, typeOf(memory), from, h.world, request),
      ),
    isDone: ({ handle: request }) => read(functions.test, address(request), at, h.ignoreStatus) !== 0,
    ping(to) {
      const byte = new Uint8Array(1);
      pings.push(
        start(byte, (request) => functions.send(address(byte), 1, h.byte, to, PING_TAG, h.world, request)),
      );
    },
    wasPinged: (from) => read(functions.probe, from, PING_TAG, h.world, at, h.ignoreStatus) !== 0,
    finalize: () => void functions.finalize(),
    abort: (code) => void functions.abort(h.world, code),
  };
}

/** One thread of this process calls MPI. */
const THREAD_FUNNELED = 1;
const PING_TAG = 77;

/** `Open MPI v4.1.4`, `MPICH 4.0.2`: may be asked before MPI is initialised. */
function versionOf(library: NativeLibrary): string {
  const text = new Uint8Array(8192);
  const length = new Int32Array(1);
  library.func("MPI_Get_library_version", "int", ["void *", "void *"])(text, length);
  const whole = new TextDecoder().decode(text.subarray(0, length[0]));
  const [first = ""] = whole.split("\n");
  const [name = "", value = ""] = first.split(/,|Version:/).map((part) => part.trim());
  return name.startsWith("Open MPI") ? name : `${name} ${value}`.trim();
}
