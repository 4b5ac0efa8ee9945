/** Which images runs are measured with: never silently those that one of them trained on. */
import { mkdir, realpath, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { runDataset } from "../../src/cli/run-dataset.ts";
import { ConfigError } from "../../src/errors.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writePhotos } from "../training/photos.ts";

vi.mock("node:fs/promises", { spy: true });

let root = "";
let photos = "";
const at = (name: string): string => join(root, name);

/** The folder of a run, as far as it matters here. */
async function writeRun(name: string, args: object): Promise<string> {
  await mkdir(at(name), { recursive: true });
  await writeFile(join(at(name), "args.yaml"), JSON.stringify(args));
  return at(name);
}

beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(at("photos"), { perClass: 4 });
  await mkdir(at("parted"));
  await writePhotos(join(at("parted"), "train"), { perClass: 1 });
  await writePhotos(join(at("parted"), "val"), { perClass: 1 });
  await writeRun("quarter", { dataPath: photos, valSplit: 0.25, seed: 3, evalCropRatio: 0.5 });
  await writeRun("half", { dataPath: photos, valSplit: 0.5, seed: 3 });
  await writeRun("other", { dataPath: photos, valSplit: 0.25, seed: 4 });
  await writeRun("all", { dataPath: photos, valSplit: 0, seed: 3 });
  await writeRun("cifar", { dataSet: "cifar10", seed: 9 });
});

const options = async (...[words, flags = {}]: Partial<Parameters<typeof runDataset>>): Promise<object> => {
  const { notes, ...found } = await runDataset((words ?? []).map(place), flags);
  expect(notes).toEqual([]);
  return found.options;
};
/** "b=half" → "b=/tmp/…/half" */
const place = (word: string): string => word.replace(/[^=]+$/, (name) => at(name));
const QUARTER = { valSplit: 0.25, seed: 3 };

describe("a run's own images", () => {
  test.each([["quarter"], ["a=quarter"], ["quarter/best.safetensors"], ["a=quarter/last.safetensors"]])(
    "%s",
    async (word) => {
      const own = { dataPath: photos, dataSet: "auto", ...QUARTER };
      expect(await options([word])).toEqual(own);
      expect(await options(["teacher.onnx", "owner/name", word])).toEqual(own);
      expect(await options([word], { dataPath: photos })).toEqual(own);
      expect(await options([word], { dataPath: `${photos}/.`, dataSet: "folder" })).toEqual({
        ...own,
        dataPath: `${photos}/.`,
        dataSet: "folder",
      });
    },
  );

  test("through a link", async () => {
    await symlink(photos, at("link"));
    expect(await options(["quarter"], { dataPath: at("link") })).toMatchObject(QUARTER);
  });

  test("others are taken as they are", async () => {
    expect(await options(["quarter"], { dataPath: at("parted") })).toEqual({ dataPath: at("parted") });
    expect(await options(["quarter"], { dataSet: "cifar10" })).toEqual({ dataSet: "cifar10" });
    expect(await options(["cifar", "quarter"])).toEqual({
      dataPath: null,
      dataSet: "cifar10",
      valSplit: 0.1,
      seed: 9,
    });
    // not of the first, but of one that was trained on them
    expect(await options(["cifar", "quarter"], { dataPath: photos })).toMatchObject(QUARTER);
    expect(await options(["model.onnx"])).toEqual({});
  });
});

describe("several runs of the same images", () => {
  test("are measured with what all of them held out", async () => {
    for (const words of [
      ["half", "quarter"],
      ["quarter", "half"],
    ])
      expect(await options(words)).toMatchObject(QUARTER);
  });

  test("are refused where there is nothing of that kind", async () => {
    const compared = runDataset([`a=${at("quarter")}`, at("other")], { dataPath: photos });
    await expect(compared).rejects.toThrow(ConfigError);
    await expect(compared).rejects.toThrow(
      `the runs held out different images of ${photos}: a=${at("quarter")} 25 % by seed 3, ${at("other")} 25 % by seed 4\n`,
    );
    await expect(compared).rejects.toThrow("--val-split 0.25 --seed 3");
    await expect(runDataset([at("all"), at("quarter")], {})).rejects.toThrow(/all none, .*25 % by seed 3/);
  });

  test("unless a flag says which are meant, and then it is told who trained on them", async () => {
    const { options: found, notes } = await runDataset([at("quarter"), at("other")], { seed: 4 });
    expect(found).toMatchObject({ valSplit: 0.25, seed: 4 });
    expect(notes).toEqual([
      `${at("quarter")} was trained on some of the images that it is measured on: of ${photos} it held out 25 % by seed 3, measured is 25 % by seed 4`,
    ]);
  });

  test("may differ where the folder has validation images of its own", async () => {
    await writeRun("parted-3", { dataPath: at("parted"), seed: 3 });
    await writeRun("parted-4", { dataPath: at("parted"), seed: 4 });
    expect(await options(["parted-3", "parted-4"])).toMatchObject({ dataPath: at("parted") });
  });
});

describe("what a run trained on is not measured silently", () => {
  test.each([
    ["all", {}, /^\S+all was trained on the images that it is measured on: it held none out$/],
    ["quarter", { valSplit: 0 }, /measured is all$/],
    ["quarter", { valSplit: 0.5 }, /held out 25 % by seed 3, measured is 50 % by seed 3$/],
    ["quarter", { seed: 0 }, /measured is 25 % by seed 0$/],
  ])("%s %j", async (name, flags, note) => {
    expect((await runDataset([at(name)], flags)).notes).toEqual([expect.stringMatching(note)]);
  });

  test("a smaller part of the same images is as good", async () => {
    expect(await options(["half"], { valSplit: 0.1 })).toMatchObject({ valSplit: 0.1, seed: 3 });
  });

  test("a run's folder that is gone is looked for by its name", async () => {
    await writeRun("moved", { dataPath: "./some/where/images", ...QUARTER });
    await rename(await writePhotos(at("before"), { perClass: 2 }), at("images"));
    const { options: found, notes } = await runDataset([at("moved")], { dataPath: at("images") });
    expect(found).toMatchObject({ dataPath: at("images"), ...QUARTER });
    expect(notes).toEqual([expect.stringMatching(/was trained on \.\/some\/where\/images, which is not/)]);
    expect(await options(["moved"], { dataPath: photos })).toEqual({ dataPath: photos });
  });

  test("folders are looked for once: the one that is named, and a run's", async () => {
    vi.mocked(realpath).mockClear();
    await runDataset([at("quarter"), at("half")], { dataPath: at("link") });
    const asked = vi.mocked(realpath).mock.calls.map(([path]) => path);
    expect(asked.filter((path) => path === at("link"))).toHaveLength(1);
    expect(asked.filter((path) => path === photos)).toHaveLength(2);
  });
});
