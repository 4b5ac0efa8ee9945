import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** Where the processes that tests start keep their modules without types: half of what starting them takes. */
const NODE_COMPILE_CACHE = fileURLToPath(new URL("node_modules/.cache/node", import.meta.url));

export default defineConfig({
  // Packages of this workspace are used from their sources, not from dist.
  resolve: { conditions: ["deit-source", "node", "import", "default"] },
  ssr: { resolve: { conditions: ["deit-source", "node", "import", "default"] } },
  test: {
    include: ["tests/**/*.test.ts", "packages/*/tests/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    // Every core: the default leaves one to the process that only reports.
    maxWorkers: "100%",
    env: { NODE_COMPILE_CACHE },
  },
});
