import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** Where the processes that tests start keep their modules without types: half of what starting them takes. */
const NODE_COMPILE_CACHE = fileURLToPath(new URL("node_modules/.cache/node", import.meta.url));

const ALL = ["tests/**/*.test.ts", "packages/*/tests/**/*.test.ts"];
const SLOW = "**/*.slow.test.ts";
const ISOLATED = "**/*.isolated.test.ts";

export default defineConfig({
  // Packages of this workspace are used from their sources, not from dist.
  resolve: { conditions: ["deit-source", "node", "import", "default"] },
  ssr: { resolve: { conditions: ["deit-source", "node", "import", "default"] } },
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    // Every core: the default leaves one to the process that only reports.
    maxWorkers: "100%",
    env: { NODE_COMPILE_CACHE },
    setupFiles: "tests/setup/each-file.ts",
    reporters: ["default", "./tests/setup/slow-files.ts"],
    projects: [
      // Files share a process and its modules: importing them for each file took half of the time.
      { extends: true, test: { name: "fast", include: ALL, exclude: [SLOW, ISOLATED], isolate: false } },
      // Files that replace modules (vi.mock), quick as they are.
      { extends: true, test: { name: "isolated", include: [ISOLATED] } },
      { extends: true, test: { name: "slow", include: [SLOW] } },
    ],
  },
});
