#!/usr/bin/env node
/** The `deit` command as a process. */
import process from "node:process";
import { run } from "./run.ts";

// A reader that closes the pipe (`deit models | head -1`) has what it wanted.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit();
    throw error;
  });
}

process.exitCode = await run(process.argv.slice(2));
