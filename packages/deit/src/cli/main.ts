#!/usr/bin/env node
/** The `deit` command as a process. */
import process from "node:process";
import { ignoresHangUp } from "./hang-up.ts";
import { exitCodeAfter, keepGoingWithoutOutput } from "./streams.ts";

/** The first release with all that is used: type stripping, Float16Array, explicit resource management. */
const OLDEST_NODE = 24;

keepGoingWithoutOutput();
if (ignoresHangUp()) process.on("SIGHUP", () => {});

if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  process.stderr.write(
    `deit needs Node ${OLDEST_NODE} or newer; this is Node ${process.versions.node}.\n` +
      `Get it from nodejs.org, or beside this one: npm install node@${OLDEST_NODE}, then npx deit …\n`,
  );
  process.exitCode = 1;
} else {
  const { run } = await import("./invocation.ts");
  process.exitCode = exitCodeAfter(await run(process.argv.slice(2)));
}
