/** An export takes its place whole: killed, failing and foreign ones leave what was there, and nothing beside it for long. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, test } from "vitest";
import { staged } from "../../src/export/staging.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { canMountSmallDisk, mountSmallDisk } from "../formats/small-disk.ts";

let folder = "";
let out = "";
beforeEach(async () => {
  folder = await temporaryFolder();
  out = join(folder, "model");
});

const makeFolder = (content: string) => async (place: string) => {
  await mkdir(place);
  await writeFile(join(place, "a"), content);
};
const there = async (): Promise<string> => readFile(join(out, "a"), "utf8");

test("a folder and a file are put into their place, over what was there", async () => {
  for (const content of ["one", "two"]) {
    expect(await staged(out, makeFolder(content))).toBeUndefined();
    expect(await there()).toBe(content);
    await staged(`${out}.onnx`, async (place) => {
      await writeFile(`${place}.pixels.onnx`, "beside");
      await writeFile(place, content);
    });
    expect(await readFile(`${out}.onnx`, "utf8")).toBe(content);
  }
  await staged(out, async (place) => writeFile(place, "a file"));
  expect(await readFile(out, "utf8")).toBe("a file");
  expect((await readdir(folder)).toSorted()).toEqual(["model", "model.onnx"]);
});

test("what fails leaves the old one, and nothing else", async () => {
  await staged(out, makeFolder("old"));
  const failing = staged(out, async (place) => {
    await makeFolder("half")(place);
    throw new Error("no");
  });
  await expect(failing).rejects.toThrow("no");
  expect([await there(), await readdir(folder)]).toEqual(["old", ["model"]]);
});

test("what a killed process left is removed by the next export, which leaves that of a living one", async () => {
  await staged(out, makeFolder("old"));
  const module = fileURLToPath(new URL("../../src/export/staging.ts", import.meta.url));
  const half = (end: string): string => `
    import { mkdir, writeFile } from "node:fs/promises";
    import { staged } from ${JSON.stringify(module)};
    await staged(${JSON.stringify(out)}, async (place) => {
      await mkdir(place);
      await writeFile(place + "/a", "half");
      await writeFile(place + ".pixels.onnx", "half");
      ${end}
    });`;
  const killed = spawn(process.execPath, [
    "--input-type=module",
    "-e",
    half(`process.kill(process.pid, "SIGKILL");`),
  ]);
  await once(killed, "exit");
  expect([await there(), (await readdir(folder)).length]).toEqual(["old", 3]);
  const wait = `console.log("made"); await new Promise((resolve) => setTimeout(resolve, 60_000));`;
  const living = spawn(process.execPath, ["--input-type=module", "-e", half(wait)]);
  await once(living.stdout, "data"); // it has removed those of the first
  expect((await readdir(folder)).length).toBe(3);
  await staged(out, makeFolder("new"));
  expect([await there(), (await readdir(folder)).length]).toEqual(["new", 3]);
  living.kill("SIGKILL");
  await once(living, "exit");
  await staged(out, makeFolder("newer"));
  expect([await there(), await readdir(folder)]).toEqual(["newer", ["model"]]);
});

test("an old folder that a killed export had moved aside comes back", async () => {
  await makeFolder("old")(join(folder, `.${basename(out)}.99999999.partial.old`));
  await expect(staged(out, async () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect([await there(), await readdir(folder)]).toEqual(["old", ["model"]]);
});

describe.skipIf(!canMountSmallDisk())("a full disk", () => {
  test("leaves the old export, and is said", async () => {
    const disk = mountSmallDisk({ kib: 32 });
    try {
      out = join(disk.path, "model");
      await staged(out, makeFolder("old"));
      const large = staged(out, makeFolder("x".repeat(100_000)));
      await expect(large).rejects.toMatchObject({
        code: "files/not-written",
        message: expect.stringMatching(
          /^Cannot save the export to .*model: no space left on the disk \(.* free\)/,
        ),
      });
      expect([await there(), await readdir(disk.path)]).toEqual(["old", ["model"]]);
    } finally {
      disk.unmount();
    }
  });
});
