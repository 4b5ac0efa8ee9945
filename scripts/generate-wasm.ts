/**
 * Compiles packages/deit/assembly/resample.ts (AssemblyScript) into packages/deit/src/augmentation/resample-wasm.ts: `npm run wasm`. With --check it only
 * says whether the file is up to date. The compiler is fetched by npx for this one run, so that nobody else has to install it.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const TARGET = "packages/deit/src/augmentation/resample-wasm.ts";
const wasm = join(mkdtempSync(join(tmpdir(), "wasm-")), "resample.wasm");
const compiler = ["--yes", "--package=assemblyscript@0.28.20", "--", "asc"];
const options = ["-O3", "--noAssert", "--runtime", "stub", "--enable", "simd", "--importMemory"];
execFileSync(
  "npx",
  [...compiler, "packages/deit/assembly/resample.ts", ...options, "--initialMemory", "1", "-o", wasm],
  {
    stdio: "inherit",
  },
);
const base64 = readFileSync(wasm).toString("base64");
const text = `/** Generated from packages/deit/assembly/resample.ts by \`npm run wasm\`; do not edit. */
const BASE64 =
  "${base64}";

/** The module's bytes. */
export const RESAMPLE_WASM: Uint8Array<ArrayBuffer> = Uint8Array.from(atob(BASE64), (character) =>
  character.charCodeAt(0),
);
`;
if (!process.argv.includes("--check")) writeFileSync(TARGET, text);
else if (readFileSync(TARGET, "utf8") !== text) {
  console.error(`${TARGET} is not what packages/deit/assembly/resample.ts compiles to: npm run wasm`);
  process.exitCode = 1;
}
