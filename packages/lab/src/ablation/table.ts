/**
 * What an ablation trains: a recipe, and rows that each change something of it. From a file of code that exports
 * `recipe` and `rows` (tables/), or from values of options to vary (`mixup=0,0.8`). Node only.
 */
import { readdir } from "node:fs/promises";
import { dirname, join, parse, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ConfigError, loadRecipe } from "deit-ts";
import type { TrainInput } from "deit-ts";
import { didYouMean, loadRecipeModule, optionNamed, readOption, resolveTrainOptions } from "deit-ts/studies";

/** A line of the results: what is read from a training. */
export interface AblationLine {
  readonly name: string;
  /** Which classifier of a distilled model; `average`: the averaged weights of `modelEma`. */
  readonly head: "class" | "distillation" | "joint" | "average";
  /** The paper's result, for comparison. */
  readonly paper?: number | undefined;
}

/** A row: one training for each seed. */
export interface AblationRow {
  readonly name: string;
  /** What differs from the recipe. */
  readonly change: TrainInput;
  /** Settings of the row's own that a tuning found. */
  readonly setting?: TrainInput | undefined;
  /** The row that it is compared with; default: the first. */
  readonly against?: string | undefined;
  /** Default: one, of the joint classifier. */
  readonly lines?: readonly AblationLine[] | undefined;
  readonly paper?: number | undefined;
  /** One of the table's `teachers`. */
  readonly teacher?: string | undefined;
  /** Its place in a figure of curves, in place of dots. */
  readonly series?: string | undefined;
  readonly x?: number | undefined;
}

/** Two rows that are compared besides each with its baseline. */
export interface AblationContrast {
  /** For people: "convnet − transformer". */
  readonly name: string;
  readonly row: string;
  /** The row whose result is taken from the other's. */
  readonly against: string;
}

/** Options, over those of a recipe of deit-ts that is named. */
export type TableRecipe = TrainInput & { readonly extends?: string | undefined };

export interface AblationTable {
  readonly name: string;
  readonly recipe: TrainInput;
  /** The first is what the others are compared with. */
  readonly rows: readonly AblationRow[];
  readonly contrasts?: readonly AblationContrast[] | undefined;
  /** Trained once, before the rows, or the path of weights. */
  readonly teachers?: Readonly<Record<string, TrainInput | string>> | undefined;
  /** Points of top-1 that the teachers may lie apart; else no student is trained. */
  readonly teachersWithin?: number | undefined;
  /** Whether every student's answers are compared with the teachers'. */
  readonly compareAnswers?: boolean | undefined;
  /** What `x` of the rows is. */
  readonly axis?: string | undefined;
}

/** The tables that come with this package. */
const TABLES = fileURLToPath(new URL("../tables/", import.meta.url));

/** A bare name means one of this package, and anything else a file. @throws ConfigError when there is none */
async function tablePath(given: string): Promise<string> {
  if (/[./\\]/.test(given)) return given;
  const files = (await readdir(TABLES)).filter((file) => /(?<!\.d)\.[jt]s$/.test(file));
  const file = files.find((one) => parse(one).name === given);
  if (file !== undefined) return join(TABLES, file);
  const names = files.map((one) => parse(one).name);
  throw new ConfigError("table", `there is no table ${given}`, {
    code: "recipe/not-found",
    hint: didYouMean(given, names) || `Tables by name: ${names.join(", ")}; others by their path.`,
  });
}

async function withBase({ extends: base, ...own }: TableRecipe): Promise<TrainInput> {
  return base === undefined ? own : { ...(await loadRecipe(base)).values, ...own };
}

/** A table from a file of code, by path or by the bare name of one that comes with this package. */
export async function loadTable(given: string): Promise<AblationTable> {
  const { path, name, module } = await loadRecipeModule(await tablePath(given));
  const { recipe, rows, contrasts, teachers, teachersWithin, compareAnswers, axis } =
    module as Partial<AblationTable>;
  if (recipe === undefined || !Array.isArray(rows) || rows.length === 0 || !rows.every(isRow)) {
    throw new ConfigError("table", `${path} holds no table: expected exports recipe and rows`, {
      code: "study/table",
      hint: 'Write: export const rows = [{ name: "baseline", change: {} }, { name: "no Mixup", change: { mixup: 0 } }];',
    });
  }
  if (contrasts !== undefined && !(Array.isArray(contrasts) && contrasts.every(isContrast))) {
    throw new ConfigError("contrasts", `${path}: contrasts are pairs of rows with a name`, {
      code: "study/table",
      hint: 'Write: export const contrasts = [{ name: "A − B", row: "A", against: "B" }];',
    });
  }
  if (teachersWithin !== undefined && !(typeof teachersWithin === "number" && teachersWithin >= 0)) {
    throw new ConfigError("teachersWithin", `${path}: teachersWithin is points of top-1, 0 or more`, {
      code: "study/table",
    });
  }
  const found: Record<string, TrainInput | string> = {};
  for (const [teacher, is] of Object.entries(teachers ?? {})) {
    if (typeof is !== "string") found[teacher] = await withBase(is);
    else found[teacher] = /^\.\.?\//.test(is) ? resolve(dirname(path), is) : is;
  }
  return checked({
    name,
    recipe: { ...(await withBase(recipe)), ...besideRecipe(recipe, path) },
    rows,
    contrasts,
    teachers: found,
    teachersWithin,
    compareAnswers: compareAnswers === true,
    axis: typeof axis === "string" ? axis : undefined,
  });
}

function besideRecipe({ teacherPath }: TrainInput, path: string): TrainInput {
  return typeof teacherPath === "string" && /^\.\.?\//.test(teacherPath)
    ? { teacherPath: resolve(dirname(path), teacherPath) }
    : {};
}

function isRow(value: unknown): value is AblationRow {
  if (typeof value !== "object" || value === null || !("name" in value) || !("change" in value)) return false;
  return typeof value.name === "string" && typeof value.change === "object" && value.change !== null;
}

function isContrast(value: unknown): value is AblationContrast {
  if (typeof value !== "object" || value === null) return false;
  return ["name", "row", "against"].every((key) => typeof Object(value)[key] === "string");
}

/** @throws ConfigError for names that stand for nothing, or for two things */
function checked(table: AblationTable): AblationTable {
  const names = table.rows.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new ConfigError("rows", `two rows are called "${twice}"`, { code: "study/table" });
  const lines = table.rows.flatMap(({ name, lines }) => lines?.map((line) => line.name) ?? [name]);
  const again = lines.find((name, i) => lines.indexOf(name) !== i);
  if (again !== undefined)
    throw new ConfigError("rows", `two lines are called "${again}"`, { code: "study/table" });
  for (const { name, against, teacher } of table.rows) {
    if (against !== undefined && !names.includes(against))
      throw new ConfigError("rows", `"${name}" is to be compared with "${against}", which is not a row`, {
        code: "study/table",
        hint: didYouMean(against, names),
      });
    if (teacher !== undefined && !(teacher in (table.teachers ?? {})))
      throw new ConfigError(
        "rows",
        `"${name}" has the teacher "${teacher}", which is not among the teachers`,
        { code: "study/table" },
      );
  }
  for (const { name, row, against } of table.contrasts ?? []) {
    const unknown = [row, against].find((one) => !names.includes(one));
    if (unknown !== undefined)
      throw new ConfigError("contrasts", `"${name}" compares "${unknown}", which is not a row`, {
        code: "study/table",
        hint: didYouMean(unknown, names),
      });
  }
  return table;
}

/** The named rows of a table and those that they are compared with; all without names. @throws ConfigError for a name that is none */
export function onlyRows(table: AblationTable, chosen: readonly string[] | undefined): AblationTable {
  if (chosen === undefined) return table;
  const names = table.rows.map(({ name }) => name);
  const unknown = chosen.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new ConfigError("row", `there is no row "${unknown}" in ${table.name}`, {
      code: "study/no-such-row",
      hint: didYouMean(unknown, names) || `Rows: ${names.join(", ")}.`,
    });
  }
  const baselines = table.rows
    .filter(({ name }) => chosen.includes(name))
    .map(({ against }) => against ?? names[0]);
  const kept = new Set([...chosen, ...baselines]);
  return {
    ...table,
    rows: table.rows.filter(({ name }) => kept.has(name)),
    contrasts: table.contrasts?.filter(({ row, against }) => kept.has(row) && kept.has(against)),
  };
}

/**
 * A table of values to try, each by itself or, with `grid`, in all combinations; the recipe as it is comes first.
 * @param vary `option=value,value`, names in any spelling; lists in brackets: `scale=[0.5,1],[0.08,1]`
 */
export async function variedTable(
  given: string,
  { vary, grid = false }: { vary: readonly string[]; grid?: boolean },
): Promise<AblationTable> {
  const layer = await loadRecipe(given);
  const { options } = resolveTrainOptions([layer]);
  const axes = vary.map((text) => {
    const at = text.indexOf("=");
    const word = at < 0 ? text : text.slice(0, at);
    const option = optionNamed(word);
    if (at <= 0 || option === undefined || text.length === at + 1) {
      throw new ConfigError("vary", `--vary ${text}: expected an option and values, such as mixup=0,0.8`, {
        code: "study/vary",
        hint: option === undefined ? `${word} is not an option; deit train --help lists them all.` : "",
      });
    }
    if (option === "seed" || option === "outputDir")
      throw new ConfigError("vary", `--vary ${text}: seeds are given by --seeds, folders by --out`, {
        code: "study/vary",
      });
    const values = text
      .slice(at + 1)
      .split(/,(?![^[]*\])/)
      .map((value) => readOption(option, value));
    return values.map((value): TrainInput => ({ [option]: value }));
  });
  const changes = grid
    ? axes.reduce<TrainInput[]>((all, axis) => all.flatMap((a) => axis.map((b) => ({ ...a, ...b }))), [{}])
    : axes.flat();
  const isOwn = (change: TrainInput): boolean =>
    Object.entries(change).every(
      ([key, value]) => JSON.stringify(options[key as keyof typeof options]) === JSON.stringify(value),
    );
  const varied = [...new Set(axes.flat().flatMap((change) => Object.keys(change)))];
  const own = Object.fromEntries(varied.map((key) => [key, options[key as keyof typeof options]]));
  return checked({
    name: given.replace(/^.*[/\\]/, "").replace(/\.\w+$/, ""),
    recipe: layer.values,
    rows: [
      { name: `as it is (${describeChange(own)})`, change: {} },
      ...changes
        .filter((change) => !isOwn(change))
        .map((change) => ({ name: describeChange(change), change })),
    ],
  });
}

/** `mixup 0, cutmix 1` */
export function describeChange(change: Readonly<Record<string, unknown>>): string {
  return Object.entries(change)
    .map(([key, value]) => `${key} ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}
