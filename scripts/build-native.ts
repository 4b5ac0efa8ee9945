/**
 * Compiles packages/deit/native/*.c with the C compiler of this machine ($CC, else cc) into the addon for its platform, which
 * lies in the repository and in the package: `npm run native`. Nothing else of the project needs a compiler. Built on Linux
 * x64 it needs glibc 2.3 and has code for processors with AVX-512, with AVX2, and without.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const FOLDER = "packages/deit/native";
const FILES = [
  "attention.c",
  "chain.c",
  "functions.h",
  "head.h",
  "operations.h",
  "ort.h",
  "product.h",
  "session.c",
];

const hash = createHash("sha256");
for (const file of FILES) hash.update(readFileSync(join(FOLDER, file)));
const sources = hash.digest("hex");
const headers = join(
  dirname(createRequire(import.meta.url).resolve("node-api-headers/package.json")),
  "include",
);
const target = join(FOLDER, `${process.platform}-${process.arch}.node`);
const code = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"];
const processor = process.arch === "x64" ? ["-mprefer-vector-width=512"] : [];
const library = process.platform === "darwin" ? ["-undefined", "dynamic_lookup"] : ["-s"];
execFileSync(
  process.env["CC"] ?? "cc",
  [
    ...code,
    ...processor,
    "-fvisibility=hidden",
    "-fPIC",
    "-shared",
    "-Wall",
    "-Wextra",
    "-Werror",
    `-DSOURCES="${sources}"`,
    "-I",
    headers,
    ...FILES.filter((file) => file.endsWith(".c")).map((file) => join(FOLDER, file)),
    ...library,
    "-o",
    target,
    "-lm",
  ],
  { stdio: "inherit" },
);
console.log(target);
