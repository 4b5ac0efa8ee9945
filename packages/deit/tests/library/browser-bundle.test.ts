/** `deit-ts/graph`, `deit-ts/models` and `deit-ts/web` run in browsers: bundled for one, nothing in them is Node's, and they stay small. */
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { bundleForBrowser } from "../helpers/bundle.ts";

/** Entries, files far from them that are in their bundles, and the most kB that these may have, minified. */
const ENTRIES = [
  [
    "src/graph.ts",
    ["src/graph/ops/attention.ts", "src/graph/generated/onnx_pb.ts"],
    ["@bufbuild/protobuf"],
    200,
  ],
  ["src/models.ts", ["src/models/block.ts", "src/optim/adamw.ts"], ["@bufbuild/protobuf", "zod"], 400],
  [
    "src/web.ts",
    ["src/training/loop/loop.ts", "src/data/loading/batch.ts", "src/runtime/session-host.ts"],
    ["@bufbuild/protobuf", "zod"],
    520,
  ],
] as const;

describe.each(ENTRIES)("%s", (entry, within, from, most) => {
  test("bundles for a browser without Node, sharp or onnxruntime-node", async ({ annotate }) => {
    const { code, files, packages, foreign } = await bundleForBrowser(entry);
    const size = `${entry}: ${kilobytes(code.length)} minified, ${kilobytes(gzipSync(code).length)} gzip, ${files.length} files`;
    await annotate(size);
    expect(foreign, size).toEqual([]);
    expect(code).not.toMatch(/\bfrom\s*"node:|\bimport\("node:|\brequire\("node:/);
    expect(packages).toEqual(from);
    for (const file of within) expect(files).toContain(file);
    expect(code.length / 1000, size).toBeLessThan(most);
  });
});

test("Node is found where it is", async () => {
  const { foreign } = await bundleForBrowser("src/runtime/node.ts");
  expect(foreign).toContain("node:worker_threads in src/runtime/node.ts");
});

function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1000)} kB`;
}
