/**
 * Recipe and config files (.ts, .js, .yaml, .json), by path or, for those that come with the package, by bare
 * name; a run folder's args.yaml is one, too. A recipe holds only the options that differ. Needs Node.
 */
import { copyFile, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, extname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parse as parseYaml } from "yaml";
import { ConfigError } from "../errors.ts";
import { shownValue } from "../printable.ts";
import { camelCase, didYouMean } from "./names.ts";
import type { Layer } from "./resolve.ts";

const EXTENSIONS = [".ts", ".js", ".mjs", ".yaml", ".yml", ".json"];
/** A file of options is small; anything larger is some other file given by mistake. */
const MAX_BYTES = 1 << 20;

/** recipes/ of this package, whether it runs from src/ or from dist/. */
const RECIPES_FOLDER = fileURLToPath(new URL("../../recipes", import.meta.url));

export interface RecipeEntry {
  readonly name: string;
  readonly path: string;
}

/** The recipes that come with the package, by name. */
export async function listRecipes(): Promise<RecipeEntry[]> {
  const files = await readdir(RECIPES_FOLDER).catch(() => []);
  return files
    .filter((file) => EXTENSIONS.includes(extname(file)))
    .map((file) => ({ name: basename(file, extname(file)), path: join(RECIPES_FOLDER, file) }))
    .toSorted((a, b) => a.name.localeCompare(b.name));
}

/**
 * Reads the recipe or config file `given`: a path, or the bare name of one of {@link listRecipes}.
 * @throws ConfigError when there is no such file or it does not hold options.
 */
export async function loadRecipe(given: string): Promise<Layer> {
  const path = await findRecipe(given);
  const values = await readOptions(path);
  if (typeof values !== "object" || values === null || Array.isArray(values)) {
    throw new ConfigError(
      "recipe",
      `${given}: expected options such as { lr: 0.001 }, got ${shownValue(values)}`,
      { code: "recipe/not-options" },
    );
  }
  const ofRun = optionsOfRun(values);
  const options = Object.entries(ofRun ?? values)
    .filter(([key]) => key !== "$schema")
    .map(([key, value]) => [key, ofRun === undefined ? beside(path, key, value) : value]);
  return { source: shortPath(path), spelling: "key", values: Object.fromEntries(options) };
}

/** Options that name a checkpoint. */
const CHECKPOINTS: readonly string[] = ["teacherPath", "finetune"];

/** A recipe's `./weights.safetensors` lies beside the recipe; other paths are those of the command line. */
function beside(recipe: string, key: string, value: unknown): unknown {
  const isNeighbour =
    CHECKPOINTS.includes(camelCase(key)) && typeof value === "string" && /^\.\.?\//.test(value);
  return isNeighbour ? resolve(dirname(recipe), value) : value;
}

/** The options in a run folder's args.yaml, which also holds the run's history. */
function optionsOfRun(values: object): object | undefined {
  if (!("args" in values && "sessions" in values)) return undefined;
  return typeof values.args === "object" && values.args !== null ? values.args : undefined;
}

async function findRecipe(given: string): Promise<string> {
  const path = resolve(given);
  const file = await stat(path).catch(() => undefined);
  if (file?.isFile()) {
    if (EXTENSIONS.includes(extname(path))) return path;
    throw new ConfigError(
      "recipe",
      `${given} is not a recipe: its name ends in ${extname(path) || "nothing"}, expected ${EXTENSIONS.join(", ")}`,
      { code: "recipe/not-a-recipe" },
    );
  }
  const recipes = await listRecipes();
  const recipe = recipes.find(({ name, path: at }) => name === given || basename(at) === given);
  if (recipe !== undefined) return recipe.path;
  const names = recipes.map(({ name }) => name);
  const suggestion = didYouMean(given, names);
  throw new ConfigError("recipe", `${given}: no such folder, file or recipe`, {
    code: "recipe/not-found",
    hint: suggestion === "" ? `Recipes by name: ${names.join(", ")}` : suggestion,
  });
}

async function readOptions(path: string): Promise<unknown> {
  const { size } = await stat(path);
  if (size > MAX_BYTES)
    throw new ConfigError("recipe", `${path} has ${size} bytes, too many for a file of options`, {
      code: "recipe/not-a-recipe",
    });
  try {
    switch (extname(path)) {
      case ".json":
        return JSON.parse(await readFile(path, "utf8"));
      case ".yaml":
      case ".yml":
        return parseYaml(await readFile(path, "utf8"), { logLevel: "error" });
      default:
        return await importRecipe(path);
    }
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError("recipe", `${path} cannot be read: ${reason}`, {
      code: "recipe/unreadable",
      cause,
    });
  }
}

export interface RecipeModule {
  readonly path: string;
  /** Of the file, without its ending. */
  readonly name: string;
  readonly module: Readonly<Record<string, unknown>>;
}

/**
 * Everything that a recipe of code exports: a table of rows beside its recipe, say.
 * @throws ConfigError when there is no such file, or it is not code
 */
export async function loadRecipeModule(given: string): Promise<RecipeModule> {
  const path = await findRecipe(given);
  const name = basename(path, extname(path));
  if (!/^\.m?[jt]s$/.test(extname(path)))
    throw new ConfigError("recipe", `${given}: expected a .ts or .js file, got ${extname(path)}`, {
      code: "recipe/not-a-recipe",
    });
  try {
    return { path, name, module: await importModule(path) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError("recipe", `${path} cannot be read: ${reason}`, {
      code: "recipe/unreadable",
      cause,
    });
  }
}

async function importRecipe(path: string): Promise<unknown> {
  const module = await importModule(path);
  const recipe = module["recipe"] ?? module["default"];
  if (recipe === undefined) {
    throw new ConfigError("recipe", `${path} exports no recipe`, {
      code: "recipe/not-options",
      hint: "Write: export const recipe = { model: …, epochs: … };",
    });
  }
  return recipe;
}

/**
 * Node strips no types below node_modules, where an installed package's own recipes are: those run from a copy of
 * their folder, since one may build on another.
 */
async function importModule(path: string): Promise<Record<string, unknown>> {
  const load = (file: string): Promise<Record<string, unknown>> => import(pathToFileURL(file).href);
  if (extname(path) !== ".ts" || !path.split(sep).includes("node_modules")) return load(path);
  const folder = await mkdtemp(join(tmpdir(), "deit-recipe-"));
  try {
    const files = (await readdir(dirname(path))).filter((name) => extname(name) === ".ts");
    await Promise.all(files.map(async (name) => copyFile(join(dirname(path), name), join(folder, name))));
    await writeFile(join(folder, "package.json"), '{"type":"module"}');
    return await load(join(folder, basename(path)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Relative to the current folder or to the package, whichever reads better. */
function shortPath(path: string): string {
  const inPackage = relative(RECIPES_FOLDER, path);
  if (!inPackage.startsWith("..")) return join("recipes", inPackage);
  const here = relative(process.cwd(), path);
  return here.startsWith("..") ? path : here;
}
