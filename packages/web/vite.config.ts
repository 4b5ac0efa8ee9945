import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import type { Plugin } from "vite";

const here = fileURLToPath(new URL(".", import.meta.url));
const ort = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"));

/** The service worker, at the root of the page: it knows the files of this build. */
function serviceWorker(): Plugin {
  return {
    name: "service worker",
    generateBundle(_, bundle) {
      const files = Object.keys(bundle).filter((file) => !file.endsWith(".wasm"));
      const code = readFileSync(join(here, "src/service-worker.js"), "utf8");
      const list = JSON.stringify([
        "./",
        ...files.filter((file) => file !== "index.html").map((file) => `./${file}`),
      ]);
      this.emitFile({
        type: "asset",
        fileName: "service-worker.js",
        source: code.replace("__FILES__", list),
      });
    },
  };
}

// oxlint-disable-next-line import/no-default-export -- as Vite wants it
export default defineConfig({
  root: here,
  base: "./",
  resolve: {
    // ONNX Runtime's glue and WebAssembly are files of this page, not parts of its code
    conditions: ["onnxruntime-web-use-extern-wasm", "deit-source", "module", "browser", "import", "default"],
    alias: [{ find: /^#ort\//, replacement: `${ort}/` }],
  },
  worker: { format: "es" },
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
    rolldownOptions: { output: { assetFileNames: "assets/[name]-[hash][extname]" } },
  },
  plugins: [serviceWorker()],
});
