/**
 * Whether this process is to go on when its terminal closes. `nohup` asks for that by ignoring SIGHUP, but Node sets every
 * signal back to its default when it starts, so what the caller asked for is read from the traces that it leaves. On Linux:
 * what the parent ignores, and the standard input that nohup leaves, which cannot be read. Everywhere: the command that the
 * shell says it started, and output into nohup.out. A program that ignores SIGHUP and then turns itself into deit leaves
 * none of them; nothing can be done about that here.
 */
import { fstatSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";

/** Where to look; everything is the process's own by default. */
interface Traces {
  readonly env?: NodeJS.ProcessEnv;
  readonly parent?: number;
  readonly proc?: string;
}

/** Whether whoever started this process wants it to survive the end of its terminal. */
export function ignoresHangUp({
  env = process.env,
  parent = process.ppid,
  proc = "/proc",
}: Traces = {}): boolean {
  return (
    basename(env["_"] ?? "") === "nohup" ||
    isIgnoredBy(join(proc, String(parent), "status")) ||
    hasUnreadableInput(join(proc, "self")) ||
    isNohupOut(1) ||
    isNohupOut(2)
  );
}

/** SIGHUP is signal 1: the lowest bit of the mask of ignored signals, which is hexadecimal. */
function isIgnoredBy(status: string): boolean {
  const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(attempt(() => readFileSync(status, "utf8")) ?? "")?.[1];
  return mask !== undefined && Number.parseInt(mask.slice(-1), 16) % 2 === 1;
}

/** GNU nohup replaces a terminal by /dev/null, opened for writing only. */
function hasUnreadableInput(self: string): boolean {
  if (attempt(() => readlinkSync(join(self, "fd", "0"))) !== "/dev/null") return false;
  const flags = /^flags:\s*([0-7]+)$/m.exec(
    attempt(() => readFileSync(join(self, "fdinfo", "0"), "utf8")) ?? "",
  )?.[1];
  return flags !== undefined && Number.parseInt(flags, 8) % 4 === 1; // O_WRONLY
}

function isNohupOut(descriptor: number): boolean {
  return ["nohup.out", join(homedir(), "nohup.out")].some(
    (path) =>
      attempt(() => {
        const [there, here] = [statSync(path), fstatSync(descriptor)];
        return there.dev === here.dev && there.ino === here.ino;
      }) === true,
  );
}

function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
