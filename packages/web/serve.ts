/**
 * The built page by the server of `deit ui`, on this machine alone.
 *
 *   npm run ui                                            builds the page and serves it
 *   node packages/web/serve.ts [--port N] [--as-it-is] [RUN…]  the last one without a build
 */
import { fileURLToPath } from "node:url";
import { run } from "../deit/src/cli/invocation.ts";
import type { UiServer } from "../deit/src/serve/ui.ts";
import { startUi } from "../deit/src/serve/ui.ts";

/** Serves the files of a folder. `isolated`: with the headers of cross-origin isolation, without which the page's service worker adds them. */
export async function serveStatic(
  folder: string,
  { port = 0, isolated = true }: { port?: number; isolated?: boolean } = {},
): Promise<UiServer> {
  return startUi({ page: folder, runs: [], port, isolated });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const words = process.argv.slice(2);
  if (!words.includes("--as-it-is")) {
    const { build } = await import("vite");
    await build({ configFile: fileURLToPath(new URL("vite.config.ts", import.meta.url)), logLevel: "error" });
  }
  process.exitCode = await run(["ui", ...words.filter((word) => word !== "--as-it-is")]);
}
