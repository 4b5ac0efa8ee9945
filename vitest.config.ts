import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** Where the processes that tests start keep their modules without types: half of what starting them takes. */
const NODE_COMPILE_CACHE = fileURLToPath(new URL("node_modules/.cache/node", import.meta.url));

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    env: { NODE_COMPILE_CACHE },
  },
});
