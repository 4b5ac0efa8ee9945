/**
 * Regenerates packages/deit/src/graph/generated/onnx_pb.ts from packages/deit/src/graph/onnx.proto: `npm run proto`.
 * The compiler is fetched by npx for this one run, so that nobody else has to install it.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const template = join(mkdtempSync(join(tmpdir(), "proto-")), "buf.gen.yaml");
writeFileSync(
  template,
  "version: v2\nplugins:\n  - local: protoc-gen-es\n    out: packages/deit/src/graph/generated\n    opt: [target=ts, import_extension=js]\n",
);
const packages = ["--package=@bufbuild/buf@1.75.0", "--package=@bufbuild/protoc-gen-es@2.17.0"];
execFileSync(
  "npx",
  ["--yes", ...packages, "--", "buf", "generate", "--template", template, "packages/deit/src/graph"],
  {
    stdio: "inherit",
  },
);
