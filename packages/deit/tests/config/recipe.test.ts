import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { optionsToYaml } from "../../src/config/print.ts";
import { listRecipes, loadRecipe } from "../../src/config/recipe.ts";
import { parseTrainOptions, requireImages, resolveTrainOptions } from "../../src/config/resolve.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "deit-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, text);
  return path;
}

it.each([
  ["a.yaml", "# mine\nlr: 1e-3\ndrop_path: 0\n"],
  ["a.json", '{ "$schema": "./deit.json", "lr": 0.001, "drop_path": 0 }'],
  ["a.ts", "const lr: number = 1e-3;\nexport const recipe = { lr, drop_path: 0 };"],
  ["b.mjs", "export default { lr: 1e-3, drop_path: 0 };"],
  [
    "node_modules/deit-ts/recipes/a.ts",
    'import type { X } from "../nowhere.ts";\nexport const recipe = { lr: 1e-3, drop_path: 0 } satisfies X;',
  ],
])("%s is read", async (name, text) => {
  const layer = await loadRecipe(await file(name, text));
  expect(layer.values).toEqual({ lr: 1e-3, drop_path: 0 });
  expect(layer.spelling).toBe("key");
});

it("a checkpoint beside a recipe is found from anywhere", async () => {
  const beside = "teacher_path: ./teachers/a.safetensors\nfinetune: ../b.safetensors\ndata-path: ./photos\n";
  const { values } = await loadRecipe(await file("recipes/c.yaml", beside));
  expect(values).toEqual({
    teacher_path: join(folder, "recipes/teachers/a.safetensors"),
    finetune: join(folder, "b.safetensors"),
    "data-path": "./photos",
  });
  const elsewhere = await loadRecipe(await file("recipes/d.yaml", "teacherPath: runs/a\n"));
  expect(elsewhere.values).toEqual({ teacherPath: "runs/a" });
});

it("a run folder's args.yaml can be read back", async () => {
  const layer = await loadRecipe(
    await file("run/args.yaml", "args:\n  lr: 0.5\n  seed: 3\nsessions:\n  - started: now\n"),
  );
  expect(layer.values).toEqual({ lr: 0.5, seed: 3 });
});

it("what is printed can be read back", async () => {
  const options = parseTrainOptions({
    dataPath: "photos: and # more",
    lr: 1e-7,
    optBetas: [0.5, 0.6],
    inputSize: 48,
  });
  const path = await file("printed.yaml", optionsToYaml(options));
  expect(resolveTrainOptions([await loadRecipe(path)]).options).toEqual(options);
});

it.each([
  ["list.yaml", "- lr", "recipe/not-options"],
  ["empty.yaml", "", "recipe/not-options"],
  ["broken.json", "{", "recipe/unreadable"],
  ["broken.yaml", "a: [", "recipe/unreadable"],
  ["nothing.ts", "export const x = 1;", "recipe/not-options"],
  ["throws.ts", 'throw new Error("oh");', "recipe/unreadable"],
  ["big.yaml", "#".repeat(1 << 21), "recipe/not-a-recipe"],
  ["model.safetensors", "", "recipe/not-a-recipe"],
])("%s is refused", async (name, text, code) => {
  await expect(loadRecipe(await file(name, text))).rejects.toMatchObject({ code });
});

it("what a recipe throws is said", async () => {
  const path = await file("oh.ts", 'throw new Error("oh");');
  await expect(loadRecipe(path)).rejects.toThrow(`${path} cannot be read: oh`);
});

it("a bare name is one of the package's recipes, or suggests one", async () => {
  expect((await loadRecipe("quickstart")).source).toBe("recipes/quickstart.ts");
  await expect(loadRecipe("quikstart")).rejects.toThrow(
    "quikstart: no such folder, file or recipe\nDid you mean quickstart?",
  );
  await expect(loadRecipe("./nowhere")).rejects.toThrow("Recipes by name: ");
});

it("every recipe of the package holds known options, and opens with its command, time and result", async () => {
  const recipes = await listRecipes();
  expect(recipes.length).toBeGreaterThan(1);
  for (const { name, path } of recipes) {
    const { options } = resolveTrainOptions([await loadRecipe(name)]);
    if (options.dataSet !== "folder") requireImages(options); // ImageNet's place is the user's to say
    const comment = (await readFile(path, "utf8")).split("*/")[0];
    expect(comment).toMatch(new RegExp(`deit (?:train|finetune) ${name}\\b`));
    for (const part of ["Time:", "Expected:"]) expect(comment, name).toContain(part);
  }
});

it("a tag that YAML does not know makes no warning of Node's", async () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  await loadRecipe(await file("tag.yaml", "lr: !!js/function x\n"));
  expect(warn).not.toHaveBeenCalled();
  warn.mockRestore();
});
