/**
 * The Node flags that a worker thread gets. V8's flags and some of Node's (--max-old-space-size, --expose-gc, --input-type)
 * belong to a whole process, and `new Worker` throws when its list has one. So a worker gets those that say how modules are
 * found and loaded and what is warned of, and no others.
 */

/** Flags that a worker needs, and whether a value follows when none is joined by `=`. */
const WORKER_FLAGS: Readonly<Record<string, "value" | "alone">> = {
  "--import": "value",
  "--require": "value",
  "-r": "value",
  "--loader": "value",
  "--experimental-loader": "value",
  "--conditions": "value",
  "-C": "value",
  "--disable-warning": "value",
  "--no-warnings": "alone",
  "--enable-source-maps": "alone",
  "--experimental-strip-types": "alone",
  "--experimental-transform-types": "alone",
  "--no-experimental-strip-types": "alone",
  "--preserve-symlinks": "alone",
  "--trace-warnings": "alone",
};

/** Of the flags of this process those that a worker takes, and that it should not warn of running TypeScript (Node 22). */
export function workerFlags(execArgv: readonly string[] = process.execArgv): string[] {
  const kept = execArgv.flatMap((flag, i) => {
    const [name = "", joined] = flag.split("=", 2);
    const kind = Object.hasOwn(WORKER_FLAGS, name) ? WORKER_FLAGS[name] : undefined;
    if (kind === undefined) return [];
    const value = kind === "value" && joined === undefined ? execArgv.slice(i + 1, i + 2) : [];
    return [flag, ...value];
  });
  return [...kept, "--disable-warning=ExperimentalWarning"];
}
